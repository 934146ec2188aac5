// the bridge looks at it, at once instead of at the next round.
// #region docs
import { once, type EventEmitter } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import type { SessionBridge } from 'ws-session-bridge'

/** For the table of connect-pg-simple. A touch sets `expire` alone, which is no change. */
export const sessionTrigger = `
  CREATE OR REPLACE FUNCTION tell_session_change() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    PERFORM pg_notify('session_change', CASE TG_OP WHEN 'DELETE' THEN OLD.sid ELSE NEW.sid END);
    RETURN NULL;
  END $$;
  CREATE OR REPLACE TRIGGER tell_session_change AFTER UPDATE OF sess OR DELETE ON session
    FOR EACH ROW EXECUTE FUNCTION tell_session_change();
`

/** What it needs of a `Client` of the package pg. */
export interface ListeningClient extends EventEmitter {
  connect(): Promise<unknown>
  query(sql: string): Promise<unknown>
  end(): Promise<unknown>
}

/** Listens until `signal` aborts, each time with a client of its own: `() => new pg.Client(url)`. */
export async function checkWhenTold(
  bridge: SessionBridge,
  newClient: () => ListeningClient,
  { signal, pauseMs = 1_000 }: { signal: AbortSignal; pauseMs?: number },
): Promise<void> {
  while (!signal.aborted) {
    const client = newClient()
    try {
      client.on('error', () => undefined) // 'end' follows
      client.on('notification', ({ payload }: { payload?: string }) => {
        bridge.check(payload === '' ? undefined : payload)
      })
      await client.connect()
      const ended = once(client, 'end', { signal })
      await Promise.race([client.query('LISTEN session_change'), ended])
      // For whatever happened before this client listened.
      bridge.check()
      await ended
    } catch {
      // The database is unavailable, or `signal` has aborted.
    }
    await client.end().catch(() => undefined)
    await pause(pauseMs * (0.5 + Math.random()), undefined, { signal }).catch(() => undefined)
  }
}
// #endregion
