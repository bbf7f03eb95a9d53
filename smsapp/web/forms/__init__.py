"""One module of WTForms per area."""
