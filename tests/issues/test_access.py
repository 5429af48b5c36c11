"""The one access rule: closed where in doubt, wherever a container stands."""

import pytest

from newsletter.issues.access import ANONYMOUS, ReaderPlan, cut, may_receive, unknown_plans
from newsletter.issues.blocks import Paragraph, Restricted, Teaser, walk_blocks
from newsletter.issues.document import parse


FREE = ReaderPlan("free", frozenset({"free"}))
PRO = ReaderPlan("pro", frozenset({"free", "pro"}))


def shown(source, plan):
    return repr(cut(parse(f"# 标题\n\n{source}"), plan))


@pytest.mark.parametrize(
    "source",
    [
        "::: plan pro\n秘密\n:::",
        "> ::: plan pro\n> 秘密\n> :::",
        "- 一\n\n  ::: plan pro\n  秘密\n  :::",
        "::: tip\n::: plan pro\n秘密\n:::\n:::",
        "::: sponsor 甲\n::: plan pro\n秘密\n:::\n:::",
        "::: plan free\n::: plan pro\n秘密\n:::\n:::",
        "甲[^a]\n\n::: plan pro\n[^a]: 秘密\n:::",
        "| 甲 |\n|---|\n| 乙[^a] |\n\n::: plan pro\n[^a]: 秘密\n:::",
        "::: plan pro\n甲[^a]\n:::\n\n[^a]: 秘密",
        "::: plan pro\n![秘密](/秘密.png) [秘密](/秘密)\n:::",
        "::: plan pro\n```秘密\n秘密\n```\n:::",
    ],
)
def test_what_is_for_other_plans_is_gone_and_for_ones_own_is_there(source):
    assert "秘密" not in shown(source, FREE)
    assert "秘密" not in shown(source, ANONYMOUS)
    assert "秘密" in shown(source, PRO)


def test_a_cut_document_holds_no_container_any_more():
    source = parse("# 标题\n\n::: plan pro\n秘密\n:::\n\n- ::: plan free\n  大家\n  :::")
    for plan in (FREE, PRO, ANONYMOUS):
        assert not any(isinstance(block, Restricted) for block in walk_blocks(cut(source, plan).blocks))


def test_a_teaser_says_for_whom_and_how_much_and_nothing_more():
    rows = "\n".join(f"| 第{number}家 | 这一格很长很长很长很长很长很长很长很长 |" for number in range(12))
    source = f'::: plan pro team teaser="三张估值表"\n| 甲 | 乙 |\n|---|---|\n{rows}\n:::'
    (teaser,) = cut(parse(f"# 标题\n\n{source}"), FREE).blocks
    assert teaser == Teaser(("pro", "team"), "三张估值表", 12, 1, 3)


def test_a_plan_that_nobody_has_lets_nobody_in():
    assert "秘密" not in shown("::: plan gold\n秘密\n:::", PRO)


def test_an_issue_for_other_plans_is_one_teaser():
    document = parse("---\nplans: [pro]\nsubject: 秘密题\npreheader: 秘密提要\n---\n# 标题--作者\n\n秘密")
    assert [may_receive(document, plan) for plan in (FREE, PRO, ANONYMOUS)] == [False, True, False]
    left = cut(document, FREE)
    assert "秘密" not in repr(left)
    assert (left.title, left.byline, [type(block) for block in left.blocks]) == ("标题", "作者", [Teaser])
    assert cut(document, PRO).blocks == (Paragraph((document.blocks[0].inlines), 8),)  # type: ignore[union-attr]


def test_unknown_plans_are_named_with_their_line():
    document = parse("---\nplans: [pro, gold]\n---\n# 标题\n\n::: plan team\n秘密\n:::")
    assert unknown_plans(document, {"free", "pro"}) == {"gold": 2, "team": 6}
