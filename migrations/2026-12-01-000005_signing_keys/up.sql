-- The keys that sign the short-lived tokens for services behind a gateway.

CREATE TABLE signing_keys (
    -- The RFC 7638 thumbprint of the public half: a token's `kid`.
    id              TEXT   PRIMARY KEY NOT NULL,
    -- The point on the curve P-256, uncompressed.
    public_key      BYTEA  NOT NULL,
    -- The private half, sealed under the cookie key.
    sealed_key      BYTEA  NOT NULL,
    created_at      BIGINT NOT NULL,
    signs_from      BIGINT NOT NULL,
    -- From when on it signs nothing, and from when on nobody has to know it; none: it stays.
    signs_until     BIGINT,
    published_until BIGINT
);
