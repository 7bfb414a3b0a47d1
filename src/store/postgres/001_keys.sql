-- Times are nanoseconds since 1970; access, networks, quota and rotation are JSON. Names sort and
-- compare by their bytes, whatever the database's language.

CREATE TABLE keygate_tenants (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    status TEXT NOT NULL,
    plan TEXT
);

-- What every request with a key reads: found by the digest in one search. A suspension is one row of
-- keygate_tenants.
CREATE TABLE keygate_keys (
    digest BYTEA NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    tenant TEXT COLLATE "C" NOT NULL REFERENCES keygate_tenants (id),
    issued BIGINT GENERATED ALWAYS AS IDENTITY,
    display TEXT NOT NULL,
    name TEXT NOT NULL,
    environment TEXT NOT NULL,
    access TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT,
    status TEXT NOT NULL,
    networks TEXT NOT NULL,
    quota TEXT,
    rotation TEXT,
    deprecated BIGINT,
    successor TEXT,
    revision BIGINT NOT NULL
);

CREATE INDEX keygate_keys_of_tenant ON keygate_keys (tenant, issued);

CREATE TABLE keygate_events (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    key_id TEXT
);

CREATE INDEX keygate_events_of_tenant ON keygate_events (tenant, seq);

CREATE TABLE keygate_uses (
    key_id TEXT COLLATE "C" NOT NULL,
    month TEXT COLLATE "C" NOT NULL,
    endpoint TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL,
    PRIMARY KEY (key_id, month, endpoint)
);

CREATE TABLE keygate_last_uses (
    key_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL
);
