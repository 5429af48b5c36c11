"""The people's tables, for tests that make them without a migration or look at all of them."""

from subscribers import consent_models, models


TABLES = {
    value.__table__
    for module in (models, consent_models)
    for value in vars(module).values()
    if hasattr(value, "__table__")
}
