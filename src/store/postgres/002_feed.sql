-- Whoever changes a key or a tenant tells it to all who listen, in the transaction that changes it: a
-- store of this or a former version, an import, an operator. What is told is the JSON of
-- `feed::Invalidation`, on a channel that is named after the schema. `issued`, which nobody reads, tells a
-- key from one before it with the same digest: of equal messages in one transaction the server keeps
-- the first only, and the last may be another.

CREATE FUNCTION keygate_tell() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE
    told JSON[];
    message JSON;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        told := ARRAY['"everything"'];
    ELSIF TG_TABLE_NAME = 'keygate_tenants' THEN
        told := ARRAY[json_build_object('tenant', OLD.id)];
    ELSE
        IF TG_OP = 'DELETE' OR TG_OP = 'UPDATE' AND OLD.digest <> NEW.digest THEN
            told := told || json_build_object('key', json_build_object(
                'digest', (SELECT json_agg(get_byte(OLD.digest, n)) FROM generate_series(0, 31) n),
                'state', 'gone', 'issued', OLD.issued));
        END IF;
        IF TG_OP <> 'DELETE' THEN
            told := told || json_build_object('key', json_build_object(
                'digest', (SELECT json_agg(get_byte(NEW.digest, n)) FROM generate_series(0, 31) n),
                'state', CASE
                    -- By somebody who does not count; or beyond what a number with a sign tells.
                    WHEN TG_OP = 'UPDATE' AND NEW.revision = OLD.revision OR NEW.revision < 0
                        THEN '"unknown"'
                    -- Put back by hand: what was told of later revisions counts no more.
                    WHEN TG_OP = 'INSERT' OR NEW.revision < OLD.revision OR OLD.revision < 0
                        THEN json_build_object('inserted', NEW.revision)
                    ELSE json_build_object('revision', NEW.revision)
                END, 'issued', NEW.issued));
        END IF;
    END IF;
    FOREACH message IN ARRAY told LOOP
        PERFORM pg_notify(
            'keygate_' || CASE WHEN octet_length(TG_TABLE_SCHEMA) <= 55 THEN TG_TABLE_SCHEMA
                ELSE hashtextextended(TG_TABLE_SCHEMA, 0)::TEXT END,
            -- The server takes no longer ones.
            CASE WHEN octet_length(message::TEXT) < 8000 THEN message::TEXT
                ELSE '"everything"' END);
    END LOOP;
    RETURN NULL;
END
$$;

CREATE TRIGGER keygate_tell AFTER INSERT OR UPDATE OR DELETE ON keygate_keys
    FOR EACH ROW EXECUTE FUNCTION keygate_tell();
CREATE TRIGGER keygate_tell_all AFTER TRUNCATE ON keygate_keys
    FOR EACH STATEMENT EXECUTE FUNCTION keygate_tell();
-- A new tenant has no keys yet.
CREATE TRIGGER keygate_tell AFTER UPDATE ON keygate_tenants
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION keygate_tell();
