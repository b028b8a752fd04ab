// Owns one step: on to the server's `continue`, with what the address of this page says.
// Must never judge where that leads, and never stay in the history: "back" would only lead here again.

location.replace(`continue${location.search}${location.hash}`);
