-- Times are nanoseconds since 1970; access, networks, quota and rotation are JSON.

CREATE TABLE keygate_tenants (
    id TEXT NOT NULL PRIMARY KEY,
    status TEXT NOT NULL,
    plan TEXT
) STRICT, WITHOUT ROWID;

-- What every request with a key reads: found by the digest in one search. A suspension is one row of
-- keygate_tenants.
CREATE TABLE keygate_keys (
    digest BLOB NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL REFERENCES keygate_tenants (id),
    issued INTEGER NOT NULL UNIQUE,
    display TEXT NOT NULL,
    name TEXT NOT NULL,
    environment TEXT NOT NULL,
    access TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER,
    status TEXT NOT NULL,
    networks TEXT NOT NULL,
    quota TEXT,
    rotation TEXT,
    deprecated INTEGER,
    successor TEXT,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX keygate_keys_of_tenant ON keygate_keys (tenant, issued);

CREATE TABLE keygate_events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    tenant TEXT NOT NULL,
    key_id TEXT
) STRICT;

CREATE INDEX keygate_events_of_tenant ON keygate_events (tenant, seq);

CREATE TABLE keygate_uses (
    key_id TEXT NOT NULL,
    month TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (key_id, month, endpoint)
) STRICT, WITHOUT ROWID;

CREATE TABLE keygate_last_uses (
    key_id TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
