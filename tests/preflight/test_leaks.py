"""The leak proof: over random documents and plans, every surface holds what a plan may read and nothing else.

The oracle is not the rule itself: every block gets a token of its own, and the generator writes down which plans are
asked for around it.
"""

import hashlib
from dataclasses import dataclass, field, replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsletter.issues.access import ANONYMOUS, ReaderPlan, cut
from newsletter.issues.document import Document, parse
from newsletter.preflight.edition import Edition, Moment
from newsletter.preflight.inspection import inspect
from newsletter.preflight.leaks import leaks, passages_of
from newsletter.rendering.mail import Rendering, render
from tests.mails import FACE, THEME, TODAY, edition


CODES = ("free", "pro", "team", "gold")


@dataclass
class Author:
    """Writes a random issue, and remembers for each token which plans its containers ask for."""

    draw: st.DrawFn
    tokens: dict[str, tuple[frozenset[str], ...]] = field(default_factory=dict)

    def token(self, demands: tuple[frozenset[str], ...]) -> str:
        letters = hashlib.sha256(str(len(self.tokens)).encode()).hexdigest()[:14]
        self.tokens[word := letters.translate(str.maketrans("0123456789", "ghijklmnop"))] = demands
        return word

    def blocks(self, demands: tuple[frozenset[str], ...], depth: int) -> list[str]:
        lines: list[str] = []
        for _ in range(self.draw(st.integers(1, 3))):
            lines += [*self.block(demands, depth), ""]
        return lines

    def block(self, demands: tuple[frozenset[str], ...], depth: int) -> list[str]:
        kinds = ["paragraph", "heading", "table", "code", "link", "footnote", "html", "cards", "inner-note"]
        kind = self.draw(st.sampled_from(kinds + ["plan", "quote", "list", "tip", "sponsor"] * (depth > 0)))
        new = lambda: self.token(demands)  # noqa: E731 - a word for the lines below
        match kind:
            case "plan":
                plans = frozenset(self.draw(st.lists(st.sampled_from(CODES), min_size=1, max_size=2, unique=True)))
                teaser = ' teaser="三张表"' if self.draw(st.booleans()) else ""
                inner = self.blocks((*demands, plans), depth - 1)
                return [f"::: plan {' '.join(sorted(plans))}{teaser}", *inner, ":::"]
            case "quote":
                return [f"> {line}" for line in self.blocks(demands, depth - 1)]
            case "list":
                first, *rest = self.blocks(demands, depth - 1)
                return [f"- {first}", *(f"  {line}" for line in rest)]
            case "tip" | "sponsor":
                return [f"::: {kind} {new()}", *self.blocks(demands, depth - 1), ":::"]
            case "heading":
                return [f"## {new()} **{new()}**"]
            case "table":
                return [f"| {new()} | {new()} |", "|---|--:|", "| a | 12 |", f"| {new()} | 7 |"]
            case "cards":
                row = f"| [{new()}](/{new()}) | {new()} | {new()} | {new()} | {new()} |"
                return ["| a | b | c | d | e |", "|---|---|---|---|---|", row]
            case "code":
                return ["```", new(), "```"]
            case "link":
                return [
                    f"*{new()}* [{new()}](https://example.org/{new()}) `{new()}` ~~{new()}~~ ![{new()}](/{new()}.png)"
                ]
            case "footnote":
                return [f"{new()}[^{new()}]"]
            case "inner-note":
                label = f"n{len(self.tokens)}"
                return [f"{new()}[^{label}]", "", f"[^{label}]: {new()}"]
            case "html":
                return [f"<b>{new()}</b> <mark>{new()}</mark><br>{new()} ^[{new()}]"]
        return [f"{new()} {new()}"]


@st.composite
def issues(draw: st.DrawFn) -> tuple[str, dict[str, tuple[frozenset[str], ...]]]:
    author = Author(draw)
    return "\n".join(["# 标题--作者", "", *author.blocks((), depth=3)]), author.tokens


plan_lattices = st.lists(
    st.tuples(st.sampled_from(CODES), st.frozensets(st.sampled_from(CODES), max_size=3)), min_size=1, max_size=3
).map(lambda pairs: [ReaderPlan(code, included | {code}) for code, included in pairs])


def everything(rendering: Rendering) -> str:
    """Every surface there is, as it leaves the house."""
    parts = (rendering.subject, rendering.preheader, rendering.byline, rendering.html, rendering.text, rendering.mjml)
    return "\n".join((*parts, *rendering.links))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(issues(), plan_lattices)
def test_every_surface_holds_what_a_plan_may_read_and_nothing_else(issue, plans):
    source, tokens = issue
    document = parse(source)
    passages = tuple(passages_of(document))
    for plan in [*plans, ANONYMOUS]:
        rendering = render(cut(document, plan), FACE, plan, THEME)
        shown = everything(rendering)
        for token, demands in tokens.items():
            may_read = all(demand & {plan.code, *plan.includes} for demand in demands)
            assert may_read or token not in shown, (plan, token, source)
            assert not may_read or token in shown, (plan, token, source)
        assert leaks(passages, plan, FACE, rendering) == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(issues(), plan_lattices)
def test_a_planted_leak_is_found(issue, plans):
    """The mail of somebody who may read everything, sent to somebody who may not."""
    source, tokens = issue
    document = parse(source)
    everyone = ReaderPlan("all", frozenset(CODES))
    whole = render(cut(document, everyone), FACE, everyone, THEME)
    passages = tuple(passages_of(document))
    for plan in [*plans, ANONYMOUS]:
        forbidden = any(not all(demand & {plan.code, *plan.includes} for demand in each) for each in tokens.values())
        assert bool(leaks(passages, plan, FACE, whole)) == forbidden, source


SECRET = "## 公开\n\n大家都能读的一段。\n\n::: plan pro\n三家公司的估值分别是多少，请看这里的表。\n:::"


def leaking(**planted: str) -> Edition:
    """An edition whose free mail holds what only pro may read, in one of its surfaces."""
    whole = edition(f"# 标题\n\n{SECRET}")
    free, pro = whole.renderings
    return replace(whole, renderings=(replace(free, **planted), pro))  # type: ignore[arg-type]


def test_every_surface_is_searched():
    phrase = "三家公司的估值分别是多少"
    free = leaking().renderings[0]
    for planted in (
        {"html": free.html.replace("</body>", f"<p>{phrase}</p></body>")},
        {"html": free.html.replace("</body>", "<p>三家公司<b>的估值</b>分别是多少</p></body>")},
        {"html": free.html.replace("</body>", f'<img alt="{phrase}"></body>')},
        {"html": free.html.replace("</body>", f'<a href="/{phrase}">甲</a></body>')},
        {"text": free.text + phrase},
        {"text": free.text + "三家公司的\n估值分别是多少"},
        {"preheader": phrase},
        {"subject": f"本期：{phrase}"},
        {"byline": phrase},
        {"mjml": free.mjml + phrase},
        {"links": (f"https://news.example.com/{phrase}",)},
    ):
        findings = [finding for finding in inspect(leaking(**planted)) if finding.check == "leak"]
        assert [finding.where for finding in findings] == ["plan free"], planted
    assert not [finding for finding in inspect(leaking()) if finding.check == "leak"]


def test_what_stands_in_both_parts_is_no_leak():
    source = "# 标题\n\n大家都能读的这一句话。\n\n::: plan pro\n大家都能读的这一句话。\n:::"
    assert not [finding for finding in inspect(edition(source)) if finding.check == "leak"]


def test_the_proof_does_not_lean_on_the_rule_it_proves():
    """A rule that lets everything through is found out."""
    document: Document = parse(f"# 标题\n\n{SECRET}")
    free, pro = ReaderPlan("free", frozenset({"free"})), ReaderPlan("pro", frozenset({"free", "pro"}))
    broken = replace(render(cut(document, pro), FACE, pro, THEME), plan="free")
    whole = Edition(document, FACE, "editor@news.example.com", (free, pro), (broken,), Moment(TODAY))
    assert "leak" in {finding.check for finding in inspect(whole)}
