-- Accounts whose hash is not what a new one is: another system made it. Few, and fewer with each sign-in. `!locked` opens
-- nothing, and a deleted account has none.
CREATE INDEX users_other_hash ON users (id)
    WHERE password_hash NOT IN ('', '!locked') AND substr(password_hash, 1, 31) <> '$argon2id$v=19$m=19456,t=2,p=1$';
