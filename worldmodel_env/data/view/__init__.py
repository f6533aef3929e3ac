"""Pictures of recorded episodes, for people: a contact sheet, or a film."""
