import re
from fractions import Fraction
from itertools import pairwise, product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analysis.compare import phrases
from analysis.compare.claims import ClaimVerdict, judge
from analysis.compare.phrases import ClaimError, Reading, Unit, read, rounding_of

MATCHES, ROUNDS = ClaimVerdict.MATCHES, ClaimVerdict.ROUNDS_TO
OVER, UNDER = ClaimVerdict.OVERSTATES, ClaimVerdict.UNDERSTATES


def notation(reading: Reading) -> str:
    """A reading as one writes intervals: "1/3 ±1/40", "(1/2, …", "[14, 15) cases", "1/3 ±1/40 of 74"."""
    if reading.lower is not None and reading.lower == reading.upper:
        told = str(reading.lower)
    else:
        lower = "…" if reading.lower is None else f"{'[' if reading.includes_lower else '('}{reading.lower}"
        upper = "…" if reading.upper is None else f"{reading.upper}{']' if reading.includes_upper else ')'}"
        told = f"{lower}, {upper}"
    rounded = f" ±{reading.tolerance}" if reading.tolerance else ""
    unit = " cases" if reading.unit is Unit.CASES else ""
    return f"{told}{rounded}{unit}{'' if reading.base is None else f' of {reading.base}'}"


# The words, the numbers that they say, and the verdict on them where so many of so many cases were counted.
# Written down from the rule in compare.claims, not from what the code gives: ±1/40 is 2.5 percentage points.
READ: list[tuple[str, str, tuple[int, int], ClaimVerdict]] = [
    # fractions in words: good to 2.5 points, less near none and all
    ("a third", "1/3 ±1/40", (28, 74), UNDER),
    ("a third", "1/3 ±1/40", (25, 75), MATCHES),
    ("a third", "1/3 ±1/40", (23, 74), ROUNDS),
    ("one third", "1/3 ±1/40", (177, 576), OVER),
    ("one-third", "1/3 ±1/40", (10, 30), MATCHES),
    ("two-thirds", "2/3 ±1/40", (2, 3), MATCHES),
    ("two thirds", "2/3 ±1/40", (65, 100), ROUNDS),
    ("two third", "2/3 ±1/40", (1, 2), OVER),
    ("half", "1/2 ±1/40", (35, 70), MATCHES),
    ("a half", "1/2 ±1/40", (19, 40), ROUNDS),
    ("one half", "1/2 ±1/40", (21, 40), ROUNDS),
    ("a quarter", "1/4 ±1/40", (19, 70), ROUNDS),
    ("quarter", "1/4 ±1/40", (9, 40), ROUNDS),
    ("three quarters", "3/4 ±1/40", (278, 374), ROUNDS),
    ("three-quarters", "3/4 ±1/40", (7, 10), OVER),
    ("3 quarters", "3/4 ±1/40", (3, 4), MATCHES),
    ("a fifth", "1/5 ±1/40", (1, 4), UNDER),
    ("four\N{NON-BREAKING HYPHEN}fifths", "4/5 ±1/40", (8, 10), MATCHES),
    ("three eighths", "3/8 ±1/40", (28, 74), ROUNDS),
    # a quarter of a tenth is 2.5 points, of a twentieth 1.25
    ("a tenth", "1/10 ±1/40", (3, 34), ROUNDS),
    ("a twentieth", "1/20 ±1/80", (2, 74), OVER),
    ("third of cases", "1/3 ±1/40", (1, 3), MATCHES),
    ("A THIRD", "1/3 ±1/40", (1, 3), MATCHES),
    ("\N{LEFT DOUBLE QUOTATION MARK}a third\N{RIGHT DOUBLE QUOTATION MARK}", "1/3 ±1/40", (1, 3), MATCHES),
    ("a\N{NO-BREAK SPACE}third", "1/3 ±1/40", (1, 3), MATCHES),
    ("a third.", "1/3 ±1/40", (1, 3), MATCHES),
    # as signs
    ("½", "1/2 ±1/40", (1, 2), MATCHES),
    ("⅔", "2/3 ±1/40", (2, 3), MATCHES),
    ("more than ½", "(1/2, …", (1, 2), OVER),
    ("1/3", "1/3 ±1/40", (1, 3), MATCHES),
    ("1\N{FRACTION SLASH}3 of cases", "1/3 ±1/40", (1, 3), MATCHES),
    # ratios
    ("one in five", "1/5 ±1/40", (15, 74), ROUNDS),
    ("one-in-five", "1/5 ±1/40", (1, 5), MATCHES),
    ("two in every three", "2/3 ±1/40", (2, 3), MATCHES),
    ("three in ten", "3/10 ±1/40", (177, 576), ROUNDS),
    ("3 out of 10", "3/10 ±1/40", (23, 70), UNDER),
    ("nine in 10", "9/10 ±1/40", (9, 10), MATCHES),
    ("one case in three", "1/3 ±1/40", (1, 3), MATCHES),
    ("one in 20", "1/20 ±1/80", (4, 74), ROUNDS),
    # a hundred parts are per cent, and 74 parts are good to half of one
    ("33 out of 100 cases", "33/100 ±1/200", (1, 3), ROUNDS),
    ("about 40 in 100", "2/5 ±1/40", (28, 74), ROUNDS),
    ("30 to 35 in 100", "[3/10, 7/20]", (23, 74), MATCHES),
    ("two hundredths", "1/50 ±1/200", (1, 74), OVER),
    ("28 of 74", "14/37 ±1/148", (28, 74), MATCHES),
    ("28 of 74", "14/37 ±1/148", (27, 74), OVER),
    ("28/74 cases", "14/37 ±1/148", (28, 74), MATCHES),
    ("15 cases out of 33", "5/11 ±1/66", (15, 33), MATCHES),
    ("14 of the 33 cases", "14/33 ±1/66 of 33", (14, 33), MATCHES),
    # percentages: good to half of the last digit
    ("42 per cent", "21/50 ±1/200", (42, 100), MATCHES),
    ("42%", "21/50 ±1/200", (415, 1000), ROUNDS),
    ("42 percent", "21/50 ±1/200", (425, 1000), ROUNDS),
    ("42pc", "21/50 ±1/200", (414, 1000), OVER),
    ("42 p.c.", "21/50 ±1/200", (426, 1000), UNDER),
    ("42 per-cent", "21/50 ±1/200", (42, 100), MATCHES),
    ("42\N{NARROW NO-BREAK SPACE}%", "21/50 ±1/200", (42, 100), MATCHES),
    ("twenty-five per cent", "1/4 ±1/200", (19, 70), UNDER),
    ("twenty\N{EN DASH}five per cent", "1/4 ±1/200", (1, 4), MATCHES),
    ("25.5 per cent", "51/200 ±1/2000", (51, 200), MATCHES),
    ("25.5 per cent", "51/200 ±1/2000", (1, 4), OVER),
    ("twenty-five point five per cent", "51/200 ±1/2000", (51, 200), MATCHES),
    ("33.3%", "333/1000 ±1/2000", (1, 3), ROUNDS),
    ("33⅓ per cent", "1/3 ±1/600", (1, 3), MATCHES),
    ("2½%", "1/40 ±1/400", (1, 40), MATCHES),
    ("0%", "0 ±1/200", (0, 30), MATCHES),
    ("0 per cent", "0 ±1/200", (1, 30), UNDER),
    ("100 per cent", "1 ±1/200", (30, 30), MATCHES),
    ("a hundred per cent", "1 ±1/200", (29, 30), OVER),
    ("forty-two per cent of cases", "21/50 ±1/200", (42, 100), MATCHES),
    # what says nothing of the number
    ("only 25 per cent", "1/4 ±1/200", (19, 70), UNDER),
    ("just a third", "1/3 ±1/40", (1, 3), MATCHES),
    ("a mere third", "1/3 ±1/40", (1, 3), MATCHES),
    ("a whopping 75%", "3/4 ±1/200", (3, 4), MATCHES),
    # a bound holds or does not hold
    ("more than half", "(1/2, …", (121, 244), OVER),
    ("more than half", "(1/2, …", (122, 244), OVER),
    ("more than half", "(1/2, …", (123, 244), MATCHES),
    ("over half", "(1/2, …", (30, 31), MATCHES),
    ("over 1 in 3", "(1/3, …", (28, 74), MATCHES),
    ("more than 75 per cent", "(3/4, …", (278, 374), OVER),
    ("above 30%", "(3/10, …", (31, 100), MATCHES),
    (">50%", "(1/2, …", (1, 2), OVER),
    ("rather more than a third", "(1/3, …", (28, 74), MATCHES),
    ("at least a third", "[1/3, …", (24, 73), OVER),
    ("at least a third", "[1/3, …", (1, 3), MATCHES),
    ("a third or more", "[1/3, …", (1, 3), MATCHES),
    ("a third or more of cases", "[1/3, …", (1, 4), OVER),
    ("no fewer than one in ten", "[1/10, …", (1, 10), MATCHES),
    ("\N{GREATER-THAN OR EQUAL TO} 50%", "[1/2, …", (1, 2), MATCHES),
    ("50%+", "[1/2, …", (1, 2), MATCHES),
    ("less than 10 percent", "…, 1/10)", (1, 10), UNDER),
    ("less than 10 percent", "…, 1/10)", (0, 10), MATCHES),
    ("under a tenth", "…, 1/10)", (3, 34), MATCHES),
    ("fewer than one in five", "…, 1/5)", (1, 5), UNDER),
    ("not even half", "…, 1/2)", (35, 70), UNDER),
    ("up to a third", "…, 1/3]", (1, 3), MATCHES),
    ("no more than a third", "…, 1/3]", (28, 74), UNDER),
    ("at most 30%", "…, 3/10]", (3, 10), MATCHES),
    ("three quarters or less", "…, 3/4]", (3, 4), MATCHES),
    # a little below and above: 5 points for a fraction, 2.5 for a multiple of 5 per cent, else 1
    ("almost three quarters", "[7/10, 3/4)", (278, 374), MATCHES),
    ("almost three quarters", "[7/10, 3/4)", (3, 4), UNDER),
    ("nearly nine out of ten", "[7/8, 9/10)", (88, 100), MATCHES),
    ("just under one in ten", "[3/40, 1/10)", (3, 34), MATCHES),
    ("not quite half", "[9/20, 1/2)", (46, 100), MATCHES),
    ("slightly under two fifths", "[7/20, 2/5)", (28, 74), MATCHES),
    ("nearly 40 per cent", "[3/8, 2/5)", (28, 74), MATCHES),
    ("almost 42 per cent", "[41/100, 21/50)", (28, 74), OVER),
    ("almost 1 per cent", "[1/200, 1/100)", (0, 74), OVER),
    ("just over a quarter", "(1/4, 3/10]", (19, 70), MATCHES),
    ("a little over a third", "(1/3, 23/60]", (28, 74), MATCHES),
    ("slightly more than 25%", "(1/4, 11/40]", (19, 70), MATCHES),
    ("just over a quarter", "(1/4, 3/10]", (1, 4), OVER),
    ("well over half", "(11/20, …", (52, 100), OVER),
    ("well under half", "…, 9/20)", (14, 33), MATCHES),
    # on both sides
    ("about a third", "1/3 ±1/40", (28, 74), UNDER),
    ("a third or so", "1/3 ±1/40", (23, 74), ROUNDS),
    ("around 40%", "2/5 ±1/40", (28, 74), ROUNDS),
    ("some 42 per cent", "21/50 ±1/100", (41, 100), ROUNDS),
    ("~33%", "33/100 ±1/100", (1, 3), ROUNDS),
    ("c. 33%", "33/100 ±1/100", (1, 3), ROUNDS),
    ("close to half", "1/2 ±1/20", (46, 100), ROUNDS),
    ("exactly half", "1/2", (49, 100), OVER),
    # ranges and two bounds
    ("between a third and a half", "[1/3, 1/2]", (28, 74), MATCHES),
    ("between half and a third", "[1/3, 1/2]", (1, 4), OVER),
    ("30 to 35 per cent", "[3/10, 7/20]", (28, 74), UNDER),
    ("30-35%", "[3/10, 7/20]", (23, 74), MATCHES),
    ("30% \N{EN DASH} 35%", "[3/10, 7/20]", (23, 74), MATCHES),
    ("roughly 30-35%", "[3/10, 7/20] ±1/40", (28, 75), ROUNDS),
    ("thirty to thirty-five per cent", "[3/10, 7/20]", (23, 74), MATCHES),
    ("more than a third but less than half", "(1/3, 1/2)", (28, 74), MATCHES),
    ("more than 30, but less than 40 per cent", "(3/10, 2/5)", (4, 10), UNDER),
    ("at least a third and at most half", "[1/3, 1/2]", (1, 3), MATCHES),
    # twice the same
    ("one in three (33%)", "33/100 ±1/200", (1, 3), ROUNDS),
    ("28 of the 74 cases that inspectors chose to look at (38%)", "19/50 ±1/200 of 74", (28, 74), ROUNDS),
    # all, none, most
    ("none", "0", (0, 30), MATCHES),
    ("no cases", "0", (1, 30), UNDER),
    ("not one of the cases", "0", (0, 30), MATCHES),
    ("almost none", "(0, 1/20]", (1, 30), MATCHES),
    ("almost none", "(0, 1/20]", (0, 30), OVER),
    ("all", "1", (30, 30), MATCHES),
    ("all of the 30 cases", "1 of 30", (30, 30), MATCHES),
    ("almost all cases", "[19/20, 1)", (29, 30), MATCHES),
    ("most", "(1/2, …", (35, 70), OVER),
    ("the majority", "(1/2, …", (36, 70), MATCHES),
    ("most of the cases", "(1/2, …", (36, 70), MATCHES),
    ("a minority", "(0, 1/2)", (14, 33), MATCHES),
    ("a minority of cases", "(0, 1/2)", (0, 33), OVER),
    # of how many
    ("one third of the 74", "1/3 ±1/40 of 74", (28, 74), UNDER),
    ("half the 74 audited cases", "1/2 ±1/40 of 74", (37, 74), MATCHES),
    # numbers of cases: not rounded; a little is a tenth, at least 1 case
    ("15 cases", "15 cases", (14, 33), OVER),
    ("14 case files", "14 cases", (14, 33), MATCHES),
    ("one case", "1 cases", (1, 33), MATCHES),
    ("almost 15 cases", "[14, 15) cases", (14, 33), MATCHES),
    ("almost 15 cases", "[14, 15) cases", (13, 33), OVER),
    ("nearly 15 of the cases", "[14, 15) cases", (15, 33), UNDER),
    ("just over 20 cases", "(20, 22] cases", (22, 33), MATCHES),
    ("about fifteen cases", "15 ±1 cases", (14, 33), ROUNDS),
    ("more than 20 cases", "(20, … cases", (20, 33), OVER),
    ("15 or more cases", "[15, … cases", (15, 33), MATCHES),
    ("ten to fifteen cases", "[10, 15] cases", (14, 33), MATCHES),
    ("between one hundred and two hundred cases", "[100, 200] cases", (121, 244), MATCHES),
    ("a dozen cases", "12 cases", (12, 33), MATCHES),
    ("half a dozen", "6 cases", (6, 33), MATCHES),
    ("two dozen cases", "24 cases", (23, 33), OVER),
    ("one hundred and twenty-one cases", "121 cases", (121, 244), MATCHES),
    ("1,000 cases", "1000 cases", (1000, 2000), MATCHES),
    ("1\N{THIN SPACE}000 cases", "1000 cases", (1000, 2000), MATCHES),
]


@pytest.mark.parametrize(("phrase", "says", "counted", "verdict"), READ, ids=[row[0] for row in READ])
def test_words_are_read_and_judged(
    phrase: str, says: str, counted: tuple[int, int], verdict: ClaimVerdict
) -> None:
    reading = read(phrase)
    n, base = counted

    assert notation(reading) == says
    assert reading.phrase == phrase
    assert judge(reading, Fraction(n) if reading.unit is Unit.CASES else Fraction(n, base)) is verdict


REFUSED = [
    # no number
    *(
        "a handful",
        "several cases",
        "many",
        "a few cases",
        "dozens of cases",
        "hundreds of cases",
        "tens of cases",
    ),
    *(
        "a couple of cases",
        "the vast majority",
        "hardly any",
        "some cases",
        "a number of cases",
        "a proportion",
    ),
    # compares, or tells a change
    *(
        "double",
        "twice as many",
        "three times",
        "a third more",
        "one third less",
        "up by a third",
        "rose by a third",
    ),
    *(
        "10 percentage points",
        "5pp",
        "from 30 to 35 per cent",
        "half as many",
        "a 5% rise",
        "+5%",
        "35 to 30 per cent",
    ),
    # of what?
    *("15", "almost 15", "0.33", "zero", "twenty-five", "30-40", "5 to 10"),
    # of something else
    *(
        "a third of forces",
        "a third of officers",
        "a third of children",
        "half a per cent",
        "a quarter of a per cent",
    ),
    *("42 per cent of the time", "nine times out of ten", "a third of one per cent", "half of one per cent"),
    *("half of the inadequate cases", "half of the cases that inspectors did not look at", "every ten cases"),
    *(
        "42 per cent were not good",
        "a two-thirds majority",
        "every third case",
        "over 18s",
        "a third of a half",
    ),
    # says two things, or can be read in two ways
    *(
        "one in three (44%)",
        "a third (a quarter)",
        "half (44%)",
        "a third or a quarter",
        "a third and a quarter",
    ),
    *("one or two in ten", "one or two cases", "2/3 cases", "1 in 3-4", "50-50 per cent", "fifty-fifty"),
    *(
        "more than half but less than a third",
        "between a third and a third",
        "more than a third but nearly half",
    ),
    *(
        "28 cases (38%)",
        "1 case (100%)",
        "half the 74",
        "hundred per cent two",
        "over half or under",
        "more or less half",
        "half more or less",
        "a or under dozen",
    ),
    # not what the word says
    *(
        "not a third",
        "not all",
        "not one in ten",
        "not just a third",
        "all but one",
        "if not half",
        "no half",
    ),
    *(
        "as many as a third",
        "only just half",
        "almost exactly a third",
        "at least nearly half",
        "nearly nearly half",
    ),
    # cannot be
    *("150 per cent", "5 in 3", "four thirds", "3/2", "34 of 33", "one in zero", "1/0", "more than all"),
    *(
        "less than none",
        "less than 0%",
        "over 100%",
        "well over all",
        "-5%",
        "minus five per cent",
        "almost one case",
    ),
    # not English for a fraction
    *(
        "third",
        "the third",
        "a third party",
        "a second of cases",
        "thirds",
        "one thirds",
        "two and a half",
        "1/3rd",
    ),
    *(
        "2.5 in 10",
        "15.5 cases",
        "two and a half cases",
        "one and a half",
        "a twenty-fifth",
        "quarter past three",
    ),
    *("three in tens", "twenty and five per cent", "five six in ten", "zero five per cent", "o per cent"),
    # not digits as they are written here
    *(
        "42,5 per cent",
        "1.500 cases",
        "1,50 cases",
        "4 2%",
        "42.5.1%",
        "%42",
        "42 %%",
        "1e3 cases",
        "1_000 cases",
    ),
    *(
        "4\N{SUPERSCRIPT TWO} per cent",
        "\N{ARABIC-INDIC DIGIT THREE}3%",
        "\N{RIGHT-TO-LEFT OVERRIDE}24%",
        "42‰",
    ),
    *("", "   ", "per cent", "%", "cases", "of the cases", "()", "a third (", "half" * 60),
]


@pytest.mark.parametrize("phrase", REFUSED)
def test_words_that_cannot_be_read_with_certainty_are_refused(phrase: str) -> None:
    with pytest.raises(ClaimError) as refusal:
        read(phrase)
    told = str(refusal.value)
    # one sentence, and what to do
    assert told.endswith(".")
    assert not re.search(r"[.?!] [A-Z]", told)
    assert "write" in told


@pytest.mark.parametrize(
    ("phrase", "why"),
    [
        ("a handful", 'as "handful" is no number'),
        ("double", 'as "double" compares or tells a change'),
        ("a third more", 'as "more" compares or tells a change'),
        ("10 percentage points", 'as "percentage points" compares or tells a change'),
        ("almost 15", "as it does not say of what it is a number"),
        ("4\N{SUPERSCRIPT TWO} per cent", "a character that cannot be read, superscript two"),
        ("", "There are no words to read"),
        ("half " * 60, "300 characters are too many"),
    ],
)
def test_a_refusal_says_why(phrase: str, why: str) -> None:
    with pytest.raises(ClaimError, match=re.escape(why)):
        read(phrase)


def test_what_is_no_text_is_refused() -> None:
    for given_ in (None, 0.33, b"a third", ["a third"]):
        with pytest.raises(ClaimError, match="no words to read"):
            read(given_)  # type: ignore[arg-type]


UNITS = [
    *(
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
    ),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
]
TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def in_words(n: int, *, joint: str = "-") -> str:
    """A number below 1,000 as it is written in British English."""
    if n >= 100:
        rest = f" and {in_words(n % 100, joint=joint)}" if n % 100 else ""
        return f"{UNITS[n // 100]} hundred{rest}"
    return UNITS[n] if n < 20 else f"{TENS[n // 10]}{f'{joint}{UNITS[n % 10]}' if n % 10 else ''}"


@pytest.mark.parametrize("joint", ["-", " ", "\N{NON-BREAKING HYPHEN}", "\N{EN DASH}"])
def test_every_number_in_words_is_read_as_its_digits_are(joint: str) -> None:
    for n in range(1, 1000):
        words = in_words(n, joint=joint)
        assert read(f"{words} cases").value == read(f"{n} cases").value == n
        assert notation(read(f"{words} in 999")) == notation(read(f"{n} in 999"))
        if n <= 100:
            assert notation(read(f"{words} per cent")) == notation(read(f"{n}%"))


ORDINALS = [
    *("third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth"),
    *(
        "thirteenth",
        "fourteenth",
        "fifteenth",
        "sixteenth",
        "seventeenth",
        "eighteenth",
        "nineteenth",
        "twentieth",
    ),
]


def test_every_fraction_in_words_is_read_as_its_ratio_is() -> None:
    for of, name in enumerate(ORDINALS, start=3):
        for n in range(1, of):
            plural = "" if n == 1 else "s"
            for said in (
                f"{in_words(n)} {name}{plural}",
                f"{in_words(n)}-{name}{plural}",
                f"{n} {name}{plural}",
            ):
                assert notation(read(said)) == notation(read(f"{n} in {of}")), said
            assert read(said).value == Fraction(n, of)


def test_no_share_rounds_to_two_of_halves_to_fifths() -> None:
    fractions = sorted({Fraction(n, of) for of in range(2, 6) for n in range(1, of)})
    ends = [(one - rounding_of(one), one + rounding_of(one)) for one in fractions]

    # they may touch: 22.5% is as far from a fifth as from a quarter
    assert all(below[1] <= above[0] for below, above in pairwise(ends))
    assert min(above - below for below, above in pairwise(fractions)) == 2 * phrases.NEARBY


SHARES = st.builds(lambda n, of: Fraction(min(n, of), of), st.integers(0, 600), st.integers(1, 600))
PLAIN = [
    *(f"{n} in {of}" for of in (2, 3, 4, 5, 10, 20, 33, 74, 100) for n in range(1, of)),
    *(f"{n}%" for n in range(1, 100)),
    *("12.5 per cent", "37.8%", "none", "all"),
]
NUMBERS = st.sampled_from(PLAIN)
HEDGES = (
    "",
    "about",
    "close to",
    "exactly",
    "almost",
    "just over",
    "more than",
    "less than",
    "at least",
    "at most",
)
WELL = ("well over", "well under")
ORDER = {OVER: 0, MATCHES: 1, ROUNDS: 1, UNDER: 2}


def hedged(number: str, hedge: str) -> Reading | None:
    try:
        return read(f"{hedge} {number}".strip())
    except ClaimError:
        # more than all, well under one per cent
        return None


ALL_READINGS = [one for pair in product(PLAIN, (*HEDGES, *WELL)) if (one := hedged(*pair)) is not None]
READINGS = st.sampled_from(ALL_READINGS)


def test_nearly_all_of_the_phrases_that_are_put_together_here_are_read() -> None:
    assert len(ALL_READINGS) > 0.97 * len(PLAIN) * (len(HEDGES) + len(WELL))


@given(READINGS, SHARES, SHARES)
def test_a_higher_share_never_goes_from_understated_to_overstated(
    reading: Reading, one: Fraction, other: Fraction
) -> None:
    low, high = sorted((one, other))
    assert ORDER[judge(reading, low)] <= ORDER[judge(reading, high)]


@given(READINGS, READINGS, SHARES)
def test_of_two_claims_on_one_audit_the_overstating_one_says_more_than_the_understating(
    one: Reading, other: Reading, share: Fraction
) -> None:
    if judge(one, share) is OVER and judge(other, share) is UNDER:
        assert one.lower is not None
        assert other.upper is not None
        assert one.lower >= other.upper


@given(NUMBERS, SHARES)
def test_exactly_one_of_less_equal_and_more_matches(number: str, share: Fraction) -> None:
    verdicts = [
        judge(reading, share)
        for hedge in ("less than", "exactly", "more than")
        if (reading := hedged(number, hedge)) is not None
    ]
    assert verdicts.count(MATCHES) <= 1
    if len(verdicts) == 3:
        assert verdicts.count(MATCHES) == 1


@given(NUMBERS, SHARES)
def test_a_little_and_a_lot_below_and_above_leave_no_gap_and_no_overlap(number: str, share: Fraction) -> None:
    readings = [
        hedged(number, hedge) for hedge in ("well under", "just under", "exactly", "just over", "well over")
    ]
    if None not in readings:
        assert [judge(one, share) for one in readings if one].count(MATCHES) == 1


@given(NUMBERS, SHARES)
def test_what_rounds_to_a_number_rounds_to_about_it_and_is_close_to_it(number: str, share: Fraction) -> None:
    plain = judge(read(number), share)
    for wider in ("about", "close to"):
        reading = hedged(number, wider)
        if plain in (MATCHES, ROUNDS) and reading is not None:
            assert judge(reading, share) is plain


@given(st.sampled_from([2, 3, 4, 5, 10, 20, 33, 74, 100]), st.data(), SHARES)
@example(100, None, Fraction(83, 200))
def test_a_share_and_the_rest_of_the_whole_get_mirrored_verdicts(
    of: int, data: st.DataObject | None, share: Fraction
) -> None:
    # 42 of 100 good is 58 of 100 not good, and who says one says the other
    n = 42 if data is None else data.draw(st.integers(1, of - 1))
    mirrored = {OVER: UNDER, UNDER: OVER, MATCHES: MATCHES, ROUNDS: ROUNDS}
    for hedge, opposite in (
        *(("", ""), ("about", "about"), ("close to", "close to"), ("more than", "less than")),
        *(("at least", "at most"), ("just over", "just under"), ("well over", "well under")),
    ):
        one, other = hedged(f"{n} in {of}", hedge), hedged(f"{of - n} in {of}", opposite)
        assert one is not None
        assert other is not None
        assert judge(one, share) is mirrored[judge(other, 1 - share)]


@given(READINGS)
def test_what_words_say_and_round_to_are_shares(reading: Reading) -> None:
    lower, upper = reading.rounding
    for end in (lower, upper, reading.lower, reading.upper):
        assert end is None or 0 <= end <= 1
    assert lower is None or upper is None or lower <= upper
    assert reading.tolerance <= 2 * phrases.NEARBY


@given(READINGS, SHARES)
def test_the_gap_is_nothing_where_the_words_hold_and_has_the_sign_of_the_verdict_elsewhere(
    reading: Reading, share: Fraction
) -> None:
    verdict, gap = judge(reading, share), reading.gap(share)
    assert verdict is not MATCHES or gap == 0
    assert verdict is not OVER or gap <= 0
    assert verdict is not UNDER or gap >= 0


def test_hedges_are_the_same_in_all_their_spellings() -> None:
    for words in (
        (
            "almost",
            "nearly",
            "very nearly",
            "just under",
            "slightly less than",
            "a little under",
            "not quite",
        ),
        (
            "just over",
            "slightly more than",
            "a little over",
            "marginally above",
            "a bit more than",
            "only just over",
        ),
        ("more than", "over", "above", "greater than", "in excess of", "upwards of", "somewhat more than"),
        ("less than", "fewer than", "under", "below", "lower than", "rather less than", "not even"),
        ("at least", "no fewer than", "no less than", "not less than", "a minimum of", "at the very least"),
        ("at most", "no more than", "not more than", "up to", "a maximum of"),
        ("about", "around", "roughly", "approximately", "approx.", "some", "circa", "just about"),
        ("well over", "well above", "far more than", "much higher than", "considerably more than"),
    ):
        for number in ("a third", "42 per cent", "one in five", "15 cases"):
            assert len({notation(read(f"{one} {number}")) for one in words}) == 1, words


@given(st.text(max_size=60))
@example("between " + "one and " * 20)
@example("more than one and " * 11)
@example("a third of the " + "a " * 80)
def test_any_text_is_read_or_refused_in_a_sentence(text: str) -> None:
    told = ""
    try:
        told = read(text).phrase
    except ClaimError as error:
        told = str(error)
    assert told == text or told.endswith(".")


VOCABULARY = [
    *(
        "a",
        "an",
        "the",
        "one",
        "two",
        "ten",
        "twenty",
        "hundred",
        "half",
        "third",
        "thirds",
        "quarter",
        "fifth",
        "in",
    ),
    *(
        "out",
        "of",
        "every",
        "and",
        "but",
        "to",
        "or",
        "more",
        "less",
        "than",
        "over",
        "under",
        "almost",
        "about",
        "just",
    ),
    *(
        "only",
        "not",
        "no",
        "%",
        "cases",
        "case",
        "all",
        "none",
        "most",
        "30",
        "5",
        "1/3",
        "33%",
        "between",
        "up",
        "at",
    ),
    *(
        "least",
        "well",
        "around",
        "some",
        "dozen",
        "exactly",
        "little",
        "so",
        "whole",
        "chose",
        "majority",
        "(33%)",
    ),
]


@given(st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=6).map(" ".join))
def test_words_in_any_order_name_only_numbers_that_stand_in_them(text: str) -> None:
    try:
        reading = read(text)
    except ClaimError:
        return
    # a share is a share, and no count of cases is more than the largest product of these words
    ends = [end for end in (reading.lower, reading.upper) if end is not None]
    assert all(0 <= end <= (1 if reading.unit is Unit.SHARE else 4000) for end in ends)
    assert not {"not", "chose"} & set(text.split()) or re.search(r"\bnot (?:less|more|one\b)", text)
