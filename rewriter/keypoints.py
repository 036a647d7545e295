"""The 24 key points of PromptEnhancer (arXiv:2509.04545), in six categories, and how public benchmarks name them.

The list is the paper's; the definitions are ours. 22 points have a one-to-one counterpart among UniGenBench's 27 test points (Entity
Layout has two, 2-D and 3-D); UniGenBench adds Colour, Shape and Logical Reasoning and lacks Text Layout.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean


@dataclass(frozen=True)
class KeyPoint:
    """One thing a prompt can ask for and an image can get wrong."""

    name: str  # stable identifier
    title: str
    category: str
    definition: str
    unigenbench: tuple[str, ...] = ()


CATEGORIES = {
    "grammar": "Linguistic and grammatical",
    "attributes": "Visual attributes",
    "actions": "Actions and interactions",
    "relations": "Relational and compositional structure",
    "knowledge": "World knowledge and reasoning",
    "text": "Scene text",
}

_POINTS = (
    KeyPoint(
        "negation",
        "Negation",
        "grammar",
        "What the prompt says must be absent is absent.",
        ("Grammar - Negation",),
    ),
    KeyPoint(
        "attribute_consistency",
        "Attribute consistency",
        "grammar",
        "An attribute said once for several things holds for each of them.",
        ("Grammar - Consistency",),
    ),
    KeyPoint(
        "pronoun",
        "Pronoun resolution",
        "grammar",
        "What a pronoun says is shown on the thing it refers to.",
        ("Grammar - Pronoun Reference",),
    ),
    KeyPoint(
        "counting",
        "Counting",
        "attributes",
        "The stated number of things, three or more.",
        ("Attribute - Quantity",),
    ),
    KeyPoint("size", "Size", "attributes", "A thing has the stated size.", ("Attribute - Size",)),
    KeyPoint(
        "material",
        "Material",
        "attributes",
        "A thing is made of the stated material.",
        ("Attribute - Material",),
    ),
    KeyPoint(
        "expression",
        "Expression",
        "attributes",
        "A face shows the stated feeling.",
        ("Attribute - Expression",),
    ),
    KeyPoint(
        "style", "Artistic style", "attributes", "The picture has the stated style or medium.", ("Style",)
    ),
    KeyPoint(
        "full_body_action",
        "Full-body action",
        "actions",
        "A person or person-like figure does the stated thing with the whole body.",
        ("Action - Full-body (Character/Anthropomorphic)",),
    ),
    KeyPoint(
        "hand_action",
        "Hand action",
        "actions",
        "A person or person-like figure does the stated thing with the hands.",
        ("Action - Hand (Character/Anthropomorphic)",),
    ),
    KeyPoint(
        "animal_action", "Animal action", "actions", "An animal does the stated thing.", ("Action - Animal",)
    ),
    KeyPoint(
        "contact",
        "Contact interaction",
        "actions",
        "Two things interact and touch as stated.",
        ("Action - Contact Interaction",),
    ),
    KeyPoint(
        "no_contact",
        "Interaction without contact",
        "actions",
        "Two things interact as stated without touching.",
        ("Action - Non-contact Interaction",),
    ),
    KeyPoint(
        "state",
        "State",
        "actions",
        "A thing is in the stated state or lasting condition.",
        ("Action - State",),
    ),
    KeyPoint(
        "comparison",
        "Comparative relation",
        "relations",
        "Two things differ, or agree, in the stated respect.",
        ("Relationship - Comparison",),
    ),
    KeyPoint(
        "composition",
        "Compositional relation",
        "relations",
        "One thing is made up of others as stated.",
        ("Relationship - Composition",),
    ),
    KeyPoint(
        "containment",
        "Containment",
        "relations",
        "One thing is inside another as stated.",
        ("Relationship - Inclusion",),
    ),
    KeyPoint(
        "similarity",
        "Similarity",
        "relations",
        "One thing is shaped or looks like another as stated.",
        ("Relationship - Similarity",),
    ),
    KeyPoint(
        "binding",
        "Cross-entity binding",
        "relations",
        "Each of several things has its own attributes and no other's.",
        ("Compound - Feature Matching",),
    ),
    KeyPoint(
        "layout",
        "Entity layout",
        "relations",
        "Things stand to each other, or in the picture, as stated.",
        ("Entity Layout - Two-Dimensional Space", "Entity Layout - Three-Dimensional Space"),
    ),
    KeyPoint(
        "knowledge",
        "Knowledge application",
        "knowledge",
        "What must be known to draw the prompt is drawn right.",
        ("World Knowledge",),
    ),
    KeyPoint(
        "counterfactual",
        "Counterfactual",
        "knowledge",
        "What cannot be, or contradicts common sense, is shown as asked.",
        ("Compound - Imagination",),
    ),
    KeyPoint(
        "text_rendering",
        "Text rendering",
        "text",
        "The stated text is in the picture, letter by letter.",
        ("Text Generation",),
    ),
    KeyPoint("text_layout", "Text layout", "text", "Text stands where, and as large as, it should."),
)

KEYPOINTS: Mapping[str, KeyPoint] = {point.name: point for point in _POINTS}

UNIGEN_EXTRA = (
    "Attribute - Color",
    "Attribute - Shape",
    "Logical Reasoning",
)  # test points without a key point
_FROM_UNIGEN = {label: point.name for point in _POINTS for label in point.unigenbench}

UNIGEN_ZH = {  # the Chinese file's labels, aligned with the English file row by row
    "风格": "Style",
    "世界知识": "World Knowledge",
    "逻辑推理": "Logical Reasoning",
    "复合考点-想象力": "Compound - Imagination",
    "复合考点-不同实体特征匹配": "Compound - Feature Matching",
    "文本生成": "Text Generation",
    "关系-构成关系": "Relationship - Composition",
    "关系-包含关系": "Relationship - Inclusion",
    "关系-相似关系": "Relationship - Similarity",
    "关系-比较关系": "Relationship - Comparison",
    "语法-代词指代": "Grammar - Pronoun Reference",
    "语法-否定": "Grammar - Negation",
    "语法-统一性": "Grammar - Consistency",
    "实体布局-二维空间": "Entity Layout - Two-Dimensional Space",
    "实体布局-三维空间": "Entity Layout - Three-Dimensional Space",
    "属性-材质": "Attribute - Material",
    "属性-形状": "Attribute - Shape",
    "属性-表情": "Attribute - Expression",
    "属性-数量": "Attribute - Quantity",
    "属性-大小": "Attribute - Size",
    "属性-颜色": "Attribute - Color",
    "动作-状态": "Action - State",
    "动作-实体间无接触互动": "Action - Non-contact Interaction",
    "动作-实体间有接触互动": "Action - Contact Interaction",
    "动作-人物/拟人全身动作": "Action - Full-body (Character/Anthropomorphic)",
    "动作-人物/拟人手部动作": "Action - Hand (Character/Anthropomorphic)",
    "动作-动物动作": "Action - Animal",
}


def from_unigenbench(label: str) -> str | None:
    """The key point of a UniGenBench test point (English or Chinese label); None for the three it adds.

    Raises ValueError for a label that is not UniGenBench's.
    """
    label = UNIGEN_ZH.get(label, label)
    if label in UNIGEN_EXTRA:
        return None
    if label not in _FROM_UNIGEN:
        raise ValueError(
            f"{label!r} is not a UniGenBench test point; known: {', '.join([*_FROM_UNIGEN, *UNIGEN_EXTRA])}"
        )
    return _FROM_UNIGEN[label]


def category_mean(scores: Mapping[str, float], *, by_category: bool = True) -> float:
    """One number from scores per key point.

    `by_category`: mean inside each category that occurs, then over these (the arXiv version); otherwise the plain mean (reported for
    the later version). Raises ValueError for an unknown key point or no score at all.
    """
    unknown = scores.keys() - KEYPOINTS.keys()
    if unknown or not scores:
        raise ValueError(
            f"no scores to average, or unknown key points {sorted(unknown)}; known: {', '.join(KEYPOINTS)}"
        )
    if not by_category:
        return fmean(scores.values())
    groups: dict[str, list[float]] = {}
    for name, value in scores.items():
        groups.setdefault(KEYPOINTS[name].category, []).append(value)
    return fmean(fmean(values) for values in groups.values())
