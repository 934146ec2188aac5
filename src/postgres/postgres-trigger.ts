/*
 * The trigger by which PostgreSQL tells of every change of a session, whoever makes it.
 */
import { assertOptions } from '../internal/option-checks.js'
import { tableNameOf, type PostgresTableOptions } from './table-name.js'

/** Both ends call it by this name. */
export const functionName = 'ws_session_bridge_notify'

/**
 * The channel of a table is named after its OID, so that it does not depend on how an app spells the table's name. A payload is a hash of
 * the session ID and the mark of its writer; `*` means every session.
 */
export const channelPrefix = 'ws_session_bridge_'
/** A setting of one transaction: what the LiveStore itself has written, it need not read. */
export const writerSetting = 'ws_session_bridge.writer'

/**
 * The SQL of the trigger that {@link postgresLiveStore} needs, for a migration. Running it again is harmless. It needs PostgreSQL 11 or
 * newer.
 *
 * After each INSERT, UPDATE, DELETE and TRUNCATE it tells by NOTIFY which session was concerned, as a hash of its ID: whoever may connect to
 * the database may listen.
 *
 * @example
 * ```ts
 * await pool.query(postgresTrigger())
 * ```
 * @throws {TypeError} for a wrong or unknown option.
 */
export function postgresTrigger(options: PostgresTableOptions = {}): string {
  assertOptions(options, ['tableName', 'schemaName'], 'postgresTrigger', "{ tableName: 'session' }")
  const { schema, table } = tableNameOf(options, 'postgresTrigger')
  return `
CREATE OR REPLACE FUNCTION ${schema}"${functionName}"() RETURNS trigger LANGUAGE plpgsql AS $ws_session_bridge$
DECLARE
  channel text := '${channelPrefix}' || TG_RELID;
  writer text := coalesce(current_setting('${writerSetting}', true), '');
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    PERFORM pg_notify(channel, '*');
    RETURN NULL;
  END IF;
  IF TG_OP <> 'INSERT' THEN
    PERFORM pg_notify(channel, left(encode(sha256(convert_to(OLD.sid, 'UTF8')), 'hex'), 32) || ' ' || writer);
  END IF;
  -- The same payload twice in a transaction is told once.
  IF TG_OP <> 'DELETE' THEN
    PERFORM pg_notify(channel, left(encode(sha256(convert_to(NEW.sid, 'UTF8')), 'hex'), 32) || ' ' || writer);
  END IF;
  RETURN NULL;
END
$ws_session_bridge$;
DROP TRIGGER IF EXISTS "ws_session_bridge_row" ON ${table};
CREATE TRIGGER "ws_session_bridge_row" AFTER INSERT OR UPDATE OR DELETE ON ${table}
  FOR EACH ROW EXECUTE FUNCTION ${schema}"${functionName}"();
DROP TRIGGER IF EXISTS "ws_session_bridge_truncate" ON ${table};
CREATE TRIGGER "ws_session_bridge_truncate" AFTER TRUNCATE ON ${table}
  FOR EACH STATEMENT EXECUTE FUNCTION ${schema}"${functionName}"();
`
}
