"""What writer and verify share: the connection's arguments, the tables' keys, and how a value is written down."""
import decimal
import json
import os

import pymysql

# Columns that identify a row, and those that are compared, as SQL.
KEYS = {"customers": ["id"], "products": ["id"], "stock": ["product"], "orders": ["id"], "order_items": ["order_id", "line"],
        "payments": ["id"]}
COLUMNS = {
    "customers": ["id", "email", "name", "kind", "wants", "preferences", "created"],
    "products": ["id", "sku", "name", "price", "weight_kg", "attributes"],
    "stock": ["product", "on_hand", "sold", "changed"],
    "orders": ["id", "customer", "state", "goods", "shipping", "total", "note", "placed"],
    "order_items": ["order_id", "line", "product", "quantity", "price"],
    "payments": ["id", "order_id", "amount", "method", "reference", "paid"],
}
JSON_COLUMNS = {"preferences", "attributes"}


def add_server(parser, prefix="", required=True):
    parser.add_argument(f"--{prefix}port", type=int, required=required)
    parser.add_argument(f"--{prefix}host", default="127.0.0.1")
    parser.add_argument(f"--{prefix}user", default="app")
    parser.add_argument(f"--{prefix}schema", default="shop")


def connect(arguments, prefix=""):
    """The password comes from $SHOP_PASSWORD, so that it is in no process list."""
    def of(name):
        return getattr(arguments, f"{prefix}{name}")
    return pymysql.connect(host=of("host"), port=of("port"), user=of("user"), password=os.environ.get("SHOP_PASSWORD", "app"),
                           database=of("schema"), charset="utf8mb4", autocommit=False, init_command="SET time_zone = '+00:00'",
                           connect_timeout=10, read_timeout=60, ssl={"check_hostname": False})


def plain(column, value):
    """A value as the ledger holds it; equal values have equal text."""
    if value is None:
        return None
    if column in JSON_COLUMNS:
        return json.dumps(json.loads(value), sort_keys=True)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    return str(value)
