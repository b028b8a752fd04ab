DROP TABLE exchanged_tokens;
