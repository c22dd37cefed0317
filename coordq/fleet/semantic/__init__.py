"""To whom a text belongs: routes by what they say of themselves, and who lies nearest."""
