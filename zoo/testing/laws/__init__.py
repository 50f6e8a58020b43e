"""The laws of each kind: functions that take a component and raise `LawBroken`."""
