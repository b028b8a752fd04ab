DROP INDEX users_other_hash;
