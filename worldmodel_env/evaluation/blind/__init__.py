"""Blind pairwise comparison: a page that people vote on, and Elo ratings of their votes."""

AXES = {
    "actions": "Which clip follows the actions?",
    "motion": "Which clip moves more naturally?",
    "looks": "Which clip looks better?",
    "consistency": "Which clip stays more consistent?",
}
"""What is asked of each pair, as in the one-minute-video study (arXiv 2504.05298), which asks for
text following, motion naturalness, aesthetics and temporal consistency."""
