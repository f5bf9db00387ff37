"""What customers order."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Order:
    article: str
    pieces: int

    def as_dict(self) -> dict:
        return dataclasses.asdict(self)


def example(count: int) -> list[Order]:
    articles = ("apple", "pear", "plum")
    return [Order(article=articles[number % len(articles)], pieces=number + 1) for number in range(count)]
