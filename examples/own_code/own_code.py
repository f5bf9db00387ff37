"""Components that import modules of this project: `shop/` beside this file travels with them, no image is built.

Run it: `headrace run examples/own_code/own_code.py`
"""

from headrace import dsl


@dsl.component(base_image="python:3.11", code=["shop"])
def take_orders(count: int) -> list:
    from shop.orders import example

    return [order.as_dict() for order in example(count)]


@dsl.component(base_image="python:3.11", code=["shop"])
def total(orders: list, discount: float) -> float:
    from shop.orders import Order
    from shop.prices import price

    return sum(price(Order(**order), discount) for order in orders)


@dsl.pipeline(name="own-code", description="Two components that share a package of their project.")
def own_code(count: int = 3, discount: float = 0.1) -> float:
    return total(orders=take_orders(count=count).output, discount=discount).output
