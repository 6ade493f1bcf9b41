"""Predicates become SQL in one place, and whatever a user wrote arrives there as a literal."""

from hypothesis import given
from hypothesis import strategies as st

from stores.lance.jsonb import Bound
from stores.lance.predicates import (
    AllOf,
    AnyOf,
    AtMost,
    HasAnyTerm,
    HasTerm,
    HoldsText,
    InRange,
    Not,
    OneOf,
    Own,
    Present,
    literal,
    to_sql,
)


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
    assert to_sql(HasAnyTerm(("a", "b"))) == "array_has_any(terms, ['a', 'b'])"
    assert to_sql(HasAnyTerm(())) == "false"
    assert to_sql(OneOf("page", (3, 1, None))) == "(COALESCE(page IN (1, 3), false) OR page IS NULL)"
    assert to_sql(OneOf("source", ("a",))) == "(source IN ('a'))"
    assert to_sql(OneOf("source", (None,))) == "(source IS NULL)"
    assert to_sql(OneOf("source", ())) == "false"
    assert to_sql(Not(AtMost("revision", 2))) == "(NOT revision <= 2)"
    assert to_sql(AllOf((OneOf("page", (1,)), AnyOf(())))) == "((COALESCE(page IN (1), false)) AND false)"
    assert to_sql(AllOf(())) == "true"


def test_ranges_and_parts() -> None:
    """Of a column, and of the user's own: what a user wrote is a literal, or hexadecimal."""
    assert to_sql(InRange("page", Bound(2, False), Bound(4, True))) == (
        "COALESCE(page > CAST('2.0' AS DOUBLE) AND page <= CAST('4.0' AS DOUBLE), false)"
    )
    assert to_sql(InRange("source", None, Bound("it's", False))) == "COALESCE(source < 'it''s', false)"
    assert to_sql(InRange(Own("it's"), Bound(3, True), Bound(3, True))) == (
        "COALESCE((json_get(metadata, 'it''s') BETWEEN X'20000000200000025003' AND X'20000000200000025003' OR "
        "json_get(metadata, 'it''s') BETWEEN X'2000000020000009604008000000000000' AND "
        "X'2000000020000009604008000000000000'), false)"
    )
    assert to_sql(InRange(Own("k"), Bound(10**400, True), None)) == "false"
    assert "'; DROP" not in to_sql(InRange(Own("k"), Bound("'; DROP", True), None))
    assert to_sql(HoldsText("source", "it's")) == "contains(source, 'it''s')"
    assert to_sql(HoldsText(Own("k"), "it's")).endswith("'hex') AS VARCHAR), 'it''s'), false)")
    assert to_sql(Present(Own("k"))) == "json_get(metadata, 'k') IS NOT NULL"
    assert to_sql(Not(Present("page"))) == "(NOT page IS NOT NULL)"


def test_many_parts_make_a_shallow_tree() -> None:
    """A chain would be as deep as it is long to the parser."""
    sql = to_sql(AnyOf(tuple(HasTerm(str(number)) for number in range(64))))

    assert max(len(run) for run in sql.replace("(NOT", "").split("array_has_any")[0:1]) == 6
