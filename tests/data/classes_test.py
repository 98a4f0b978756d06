"""Classes that are asked for by name or number."""

import pytest

from zoo.data import classes
from zoo.data.sources import CLASS_NAMES
from zoo.errors import InputError

FASHION = CLASS_NAMES["fashion_mnist"]


@pytest.mark.parametrize(
    ("asked", "names", "expected"),
    [
        (["Sneaker", "7", "3"], FASHION, [7, 7, 3]),
        (["sneaker", "ANKLE BOOT", " Bag "], FASHION, [7, 9, 8]),
        (["T-shirt/top"], FASHION, [0]),
        (["10", "2", "0", "1"], ("10", "2", "x"), [0, 1, 0, 1]),  # a name goes before a number
        (["cat", "Cat", "CAT "], ("Cat", "cat", "CAT"), [1, 0, 2]),
        (["straße", "STRASSE"], ("a", "Straße"), [1, 1]),
        (["cafe\u0301"], ("caf\u00e9",), [0]),
        (["a,b"], ("a,b", "c"), [0]),
        (["007"], ("x",) * 7 + ("y",), [7]),
        ([], FASHION, []),
    ],
)
def test_names_and_numbers(asked, names, expected):
    assert classes.numbers(asked, names) == expected


@pytest.mark.parametrize("asked", ["", "Sandals", "10", "-1", "1.0", "1_0", "\u0667", "0x1", "nan"])
def test_an_unknown_class_is_an_error_that_lists_them(asked):
    with pytest.raises(InputError) as error:
        classes.numbers(["Bag", asked], FASHION)
    assert str(error.value).startswith(f"there is no class {asked!r}: choose from 0 = T-shirt/top,")
    assert "9 = Ankle boot" in str(error.value) and "comma" not in str(error.value)


def test_what_is_not_clear_is_an_error():
    with pytest.raises(InputError, match="'CAT' may be any of 0 = Cat, 1 = cat: give its number"):
        classes.numbers(["CAT"], ("Cat", "cat", "dog"))
    with pytest.raises(InputError, match="for a name with a comma give its number"):
        classes.numbers(["cat"], ("cat, tabby", "dog"))


def test_classes_in_words():
    assert classes.in_words(("cat", "dog\nand more")) == "0 = cat, 1 = dog\\nand more"
    many = classes.in_words([f"n{k}" for k in range(1000)])
    assert many.startswith("0 = n0, 1 = n1, ") and many.endswith("998 = n998, 999 = n999")
    assert "7 = n7, ..., 992 = n992" in many and len(many) < 200
