-- A shop whose rows belong to customers: whatever is used together with an order carries the customer's number, and so lives where the customer lives.

CREATE TABLE customers (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  email VARCHAR(190) NOT NULL,
  name VARCHAR(100) NOT NULL,
  KEY customer_email (email)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE orders (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  customer BIGINT UNSIGNED NOT NULL,
  state ENUM('placed', 'paid', 'sent') NOT NULL DEFAULT 'placed',
  goods DECIMAL(12, 2) NOT NULL,
  note TEXT NULL,
  KEY order_customer (customer, id),
  CONSTRAINT order_customer FOREIGN KEY (customer) REFERENCES customers (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- Small, read with everything, seldom written: every shard has all of it.
CREATE TABLE products (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(120) NOT NULL,
  price DECIMAL(10, 2) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- The customer stands here too, and in the keys: a shard sees its own rows only, and must be able to say by itself what is there twice.
CREATE TABLE order_items (
  customer BIGINT UNSIGNED NOT NULL,
  order_id BIGINT UNSIGNED NOT NULL,
  line SMALLINT UNSIGNED NOT NULL,
  product INT UNSIGNED NOT NULL,
  quantity INT NOT NULL,
  price DECIMAL(10, 2) NOT NULL,
  PRIMARY KEY (customer, order_id, line),
  KEY item_product (product),
  CONSTRAINT item_order FOREIGN KEY (customer, order_id) REFERENCES orders (customer, id) ON DELETE CASCADE,
  CONSTRAINT item_product FOREIGN KEY (product) REFERENCES products (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE payments (
  customer BIGINT UNSIGNED NOT NULL,
  order_id BIGINT UNSIGNED NOT NULL,
  amount DECIMAL(12, 2) NOT NULL,
  reference BINARY(16) NOT NULL,
  PRIMARY KEY (customer, order_id),
  CONSTRAINT payment_order FOREIGN KEY (customer, order_id) REFERENCES orders (customer, id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- What is one for the whole shop stays together, on the first shard.
CREATE TABLE coupons (
  code VARCHAR(20) NOT NULL PRIMARY KEY,
  used BIGINT NOT NULL DEFAULT 0
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
