-- A small shop, with what real schemas have: foreign keys that cascade, JSON, generated columns, ENUM and SET, a trigger, an
-- event, views and a function. MySQL 8.0 and MariaDB 10.5 and later. Created in the current schema.

CREATE TABLE customers (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  email VARCHAR(190) NOT NULL,
  name VARCHAR(100) CHARACTER SET utf8mb4 NOT NULL,
  kind ENUM('person', 'company') NOT NULL DEFAULT 'person',
  wants SET('news', 'offers', 'events') NOT NULL DEFAULT '',
  preferences JSON NULL,
  created TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  UNIQUE KEY customer_email (email),
  KEY customer_name (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE products (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  sku CHAR(10) CHARACTER SET ascii NOT NULL,
  name VARCHAR(120) NOT NULL,
  price DECIMAL(10, 2) NOT NULL,
  weight_kg DOUBLE NULL,
  attributes JSON NULL,
  UNIQUE KEY product_sku (sku)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE stock (
  product INT UNSIGNED NOT NULL PRIMARY KEY,
  on_hand INT NOT NULL,
  sold BIGINT NOT NULL DEFAULT 0,
  changed TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  CONSTRAINT stock_product FOREIGN KEY (product) REFERENCES products (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE orders (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  customer BIGINT UNSIGNED NOT NULL,
  state ENUM('placed', 'paid', 'sent', 'returned') NOT NULL DEFAULT 'placed',
  goods DECIMAL(12, 2) NOT NULL,
  shipping DECIMAL(8, 2) NOT NULL DEFAULT 0,
  total DECIMAL(12, 2) GENERATED ALWAYS AS (goods + shipping) STORED,
  note TEXT NULL,
  placed TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  KEY order_customer (customer, placed),
  KEY order_state (state),
  CONSTRAINT order_customer FOREIGN KEY (customer) REFERENCES customers (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE order_items (
  order_id BIGINT UNSIGNED NOT NULL,
  line SMALLINT UNSIGNED NOT NULL,
  product INT UNSIGNED NOT NULL,
  quantity INT NOT NULL,
  price DECIMAL(10, 2) NOT NULL,
  PRIMARY KEY (order_id, line),
  KEY item_product (product),
  CONSTRAINT item_order FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE,
  CONSTRAINT item_product FOREIGN KEY (product) REFERENCES products (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE payments (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  order_id BIGINT UNSIGNED NOT NULL,
  amount DECIMAL(12, 2) NOT NULL,
  method ENUM('card', 'transfer', 'cash') NOT NULL,
  reference BINARY(16) NOT NULL,
  paid TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  UNIQUE KEY payment_reference (reference),
  KEY payment_order (order_id),
  CONSTRAINT payment_order FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TRIGGER item_sold AFTER INSERT ON order_items FOR EACH ROW
  UPDATE stock SET sold = sold + NEW.quantity WHERE product = NEW.product;

CREATE EVENT forget_old_notes ON SCHEDULE EVERY 1 DAY STARTS CURRENT_TIMESTAMP + INTERVAL 1 DAY DO
  UPDATE orders SET note = NULL WHERE note IS NOT NULL AND placed < CURRENT_TIMESTAMP - INTERVAL 10 YEAR;

CREATE FUNCTION paid_for(wanted BIGINT UNSIGNED) RETURNS DECIMAL(12, 2) READS SQL DATA
  RETURN (SELECT COALESCE(SUM(amount), 0) FROM payments WHERE order_id = wanted);

CREATE VIEW open_orders AS
  SELECT o.id, c.name AS customer, o.total, paid_for(o.id) AS paid
  FROM orders o JOIN customers c ON c.id = o.customer WHERE o.state = 'placed';

CREATE VIEW best_sellers AS
  SELECT p.sku, p.name, s.sold FROM products p JOIN stock s ON s.product = p.id ORDER BY s.sold DESC LIMIT 10;
