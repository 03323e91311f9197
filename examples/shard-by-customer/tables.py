"""The shop's tables, for writer and verify: key, columns, and where a row lives. The connection's arguments are the sample shop's."""
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "sample-shop"))

from shop import add_server, connect, plain  # noqa: E402, F401: found by the path above

KEYS = {"customers": ["id"], "orders": ["id"], "order_items": ["customer", "order_id", "line"], "payments": ["customer", "order_id"], "products": ["id"], "coupons": ["code"]}
COLUMNS = {
    "customers": ["id", "email", "name"],
    "orders": ["id", "customer", "state", "goods", "note"],
    "order_items": ["customer", "order_id", "line", "product", "quantity", "price"],
    "payments": ["customer", "order_id", "amount", "reference"],
    "products": ["id", "name", "price"],
    "coupons": ["code", "used"],
}
SHARD_KEY = {"customers": "id", "orders": "customer", "order_items": "customer", "payments": "customer"}
REFERENCE = "products"
UNSHARDED = "coupons"
