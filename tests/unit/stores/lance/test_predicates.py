"""Predicates become SQL in one place, and whatever a user wrote arrives there as a literal."""

from hypothesis import given
from hypothesis import strategies as st

from stores.lance.predicates import AllOf, AnyOf, AtMost, HasTerm, Not, OneOf, literal, to_sql


@given(st.text())
def test_a_literal_ends_where_it_should(text: str) -> None:
    """Reading a literal by SQL's rule, where two quotes are one, gives back the text and nothing is left over."""
    spelled = literal(text)

    assert spelled[0] == spelled[-1] == "'"
    assert "'" not in spelled[1:-1].replace("''", "")
    assert spelled[1:-1].replace("''", "'") == text


def test_a_number_is_a_number() -> None:
    """A number is never quoted, and a boolean never slips through as a word."""
    assert (literal(5), literal(-1), literal(True)) == ("5", "-1", "1")


def test_each_kind_has_its_sql() -> None:
    """What each predicate means, read once by eye."""
    assert to_sql(HasTerm("it's")) == "array_has_any(terms, ['it''s'])"
    assert to_sql(OneOf("page", (3, 1, None))) == "(page IN (1, 3) OR page IS NULL)"
    assert to_sql(OneOf("source", (None,))) == "(source IS NULL)"
    assert to_sql(OneOf("source", ())) == "false"
    assert to_sql(Not(AtMost("revision", 2))) == "(NOT revision <= 2)"
    assert to_sql(AllOf((OneOf("page", (1,)), AnyOf(())))) == "((page IN (1)) AND false)"
    assert to_sql(AllOf(())) == "true"
