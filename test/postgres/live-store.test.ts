import { promisify } from 'node:util'
import pg from 'pg'
import { beforeAll, describe, expect, it } from 'vitest'
import { postgresLiveStore, postgresTrigger, type PostgresLiveStoreOptions } from 'ws-session-bridge/postgres'
import { snapshotOfStored } from '../../src/store/normalized-session.js'
import { changed, describeLiveStore, recordOf, reportsOf } from '../store/live-store-suite.js'
import { atEnd } from '../support/at-end.js'
import { startPgStore, startPool, startPostgresServer } from '../support/postgres.js'
import type { PostgresServer } from '../support/postgres-server.js'

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgresServer()
}, 60_000)

async function started(options: { trigger?: boolean; pool?: pg.Pool; live?: Partial<PostgresLiveStoreOptions> } = {}) {
  const { live: liveOptions, ...storeOptions } = options
  const { pool, store, tableName, newClient } = await startPgStore(server.url, storeOptions)
  const live = postgresLiveStore(pool, { newClient, tableName, ...liveOptions })
  atEnd(() => live.close())
  const reports = reportsOf(live)
  const faults: Error[] = []
  live.onFault?.((error) => faults.push(error))
  const put = (sessionID: string, data: object, maxAge?: number | null) =>
    promisify(store.set.bind(store))(sessionID, recordOf(data, maxAge))
  return { pool, store, live, tableName, reports, faults, put, newClient }
}

describeLiveStore('postgresLiveStore', async () => {
  const { store, live } = await (async () => {
    const { pool, store, tableName, newClient } = await startPgStore(server.url)
    return { store, live: postgresLiveStore(pool, { newClient, tableName }) }
  })()
  return { store, live }
})

describe('postgresLiveStore', () => {
  it('hears every writer: SQL by hand, another spelling of the table, DELETE of many, TRUNCATE', async () => {
    const { pool, live, tableName, reports, put } = await started()
    for (const id of ['a', 'b']) await put(id, { user: 'ada' })
    for (const id of ['a', 'b']) live.watch(id)
    await live.get('a')
    const hears = async (id: string | undefined, statement: string) => {
      const heard = reports.next(id)
      await pool.query(statement)
      await heard
    }
    await hears('a', `UPDATE public."${tableName}" SET sess = '{"cookie":{}}' WHERE sid = 'a'`)
    await hears('a', `UPDATE "${tableName}" SET expire = now() + interval '1 hour' WHERE sid = 'a'`)
    await hears('b', `UPDATE "${tableName}" SET sid = 'c' WHERE sid = 'b'`)
    await hears('a', `DELETE FROM "${tableName}"`)
    await hears(undefined, `TRUNCATE "${tableName}"`)
    expect(reports.all.at(-1)).toBeUndefined()
  })

  it('tells no session ID to whoever listens', async () => {
    const { pool, tableName, put } = await started()
    const listener = new pg.Client(server.url)
    await listener.connect()
    atEnd(() => listener.end())
    const { rows } = await pool.query<{ oid: number }>('SELECT $1::regclass::oid AS oid', [tableName])
    await listener.query(`LISTEN ws_session_bridge_${rows[0]!.oid}`)
    const heard: string[] = []
    listener.on('notification', ({ payload }) => heard.push(String(payload)))
    await put('a-secret-session-id', { user: 'ada' })
    await expect.poll(() => heard.length).toBe(1)
    expect(heard.join()).not.toContain('a-secret-session-id')
  })

  it('takes two statements for an update, and does not read again what it has written itself', async () => {
    const { pool, live, put, reports } = await started()
    await put('id', { user: 'ada' })
    live.watch('id')
    await live.get('id')
    const query = pool.query.bind(pool)
    let statements = 0
    pool.query = ((...args: Parameters<typeof query>) => {
      statements += 1
      return query(...args)
    }) as typeof pool.query
    const stored = (await live.get('id'))!
    expect(await live.replace('id', stored, changed(stored, { user: 'eve' }))).toHaveProperty('replaced')
    expect(statements).toBe(2)
    const heard = reports.next('id')
    await query('SELECT 1')
    await put('id', { user: 'bob' })
    await heard
    expect(reports.all).toEqual(['id'])
  })

  it('loses no write of a hundred at once on several connections, under any isolation', async () => {
    for (const isolation of ['read committed', 'repeatable read', 'serializable']) {
      const pool = startPool(server.url, {
        options: `-c default_transaction_isolation=${isolation.replace(' ', '\\ ')}`,
      })
      // All of them wait for one row: what is tested is that none is lost, not that none is late.
      const { live, put } = await started({ pool, live: { timeoutMs: 30_000 } })
      await put('id', { views: 0 })
      const increment = async () => {
        let current = (await live.get('id'))!
        for (;;) {
          const { views = 0 } = snapshotOfStored(current)
          const result = await live.replace('id', current, changed(current, { views: views + 1 }))
          if (result === 'gone') throw new Error('It is gone')
          if ('replaced' in result) return
          current = result.changed
        }
      }
      await Promise.all(Array.from({ length: 100 }, increment))
      expect(snapshotOfStored((await live.get('id'))!)).toMatchObject({ views: 100 })
    }
  })

  it.each(['UTC', 'America/New_York', 'Asia/Kolkata'])(
    'knows when a session is over where the connections are in %s, and touches as the store does',
    async (timeZone) => {
      const pool = startPool(server.url, { options: `-c TimeZone=${timeZone}` })
      const { live, put, tableName, store } = await started({ pool })
      await put('id', { user: 'ada' }, 600_000)
      expect((await live.get('id'))!.expiresAt! - Date.now()).toBeGreaterThan(598_000)
      expect((await live.get('id'))!.expiresAt! - Date.now()).toBeLessThan(602_000)
      await pool.query(`UPDATE "${tableName}" SET expire = now() + interval '1 second'`)
      expect(await live.touch('id')).toBe('touched')
      const touched = (await live.get('id'))!.expiresAt!
      await new Promise<void>((resolve) => store.touch('id', recordOf({}, 600_000), () => resolve()))
      expect(Math.abs((await live.get('id'))!.expiresAt! - touched)).toBeLessThanOrEqual(5_000)
      await pool.query(`UPDATE "${tableName}" SET expire = now() - interval '2 seconds'`)
      expect(await live.get('id')).toBeUndefined()
      expect(await live.touch('id')).toBe('gone')
    },
  )

  it('touches a session whose cookie ends with the browser for as long as the store would, and shortens none', async () => {
    const { live, put, pool, tableName } = await started({ live: { ttl: 100 } })
    await put('id', { user: 'ada' }, null)
    await live.touch('id')
    expect((await live.get('id'))!.expiresAt! - Date.now()).toBeGreaterThan(80_000_000)
    await pool.query(`UPDATE "${tableName}" SET expire = now() + interval '5 seconds'`)
    await live.touch('id')
    const left = (await live.get('id'))!.expiresAt! - Date.now()
    expect(left).toBeGreaterThan(98_000)
    expect(left).toBeLessThan(102_000)
  })

  it('is over when the store says so, to the second', async () => {
    const { live, put, store } = await started()
    await put('id', { user: 'ada' }, 3_000)
    const { expiresAt } = (await live.get('id'))!
    // A timer may fire a millisecond early.
    while (Date.now() < expiresAt!) await new Promise((resolve) => setTimeout(resolve, expiresAt! - Date.now()))
    const ofStore = await new Promise((resolve) => {
      store.get('id', (_error: unknown, record) => resolve(record ?? undefined))
    })
    expect([await live.get('id'), ofStore]).toEqual([undefined, undefined])
  })

  it('has no session with an ID that PostgreSQL cannot keep', async () => {
    const { live } = await started()
    expect(await live.get('a\0b')).toBeUndefined()
  })

  it('reads a thousand sessions by a few statements', async () => {
    const { pool, live, put } = await started()
    await put('id1', { user: 'ada' })
    await live.get('id1')
    const query = pool.query.bind(pool)
    let statements = 0
    pool.query = ((...args: Parameters<typeof query>) => {
      statements += 1
      return query(...args)
    }) as typeof pool.query
    const found = await Promise.all(Array.from({ length: 1_000 }, (_, index) => live.get(`id${index}`)))
    expect(found.filter((stored) => stored !== undefined)).toHaveLength(1)
    expect(statements).toBeLessThan(12)
  })

  it('reads, says so once, and hears all as soon as there is one, where the table has no trigger', async () => {
    const { pool, live, put, faults, tableName, reports } = await started({
      trigger: false,
      live: { timeoutMs: 1_000 },
    })
    await put('id', { user: 'ada' })
    live.watch('id')
    expect(snapshotOfStored((await live.get('id'))!)).toMatchObject({ user: 'ada' })
    expect(faults.map(String).join()).toContain('has no trigger')
    const opened = reports.next(undefined)
    await pool.query(postgresTrigger({ tableName }))
    await opened
    const heard = reports.next('id')
    await put('id', { user: 'eve' })
    await heard
    expect(faults).toHaveLength(1)
  })

  it('reads and says so once where it cannot listen', async () => {
    const { live, put, faults } = await started({
      live: { newClient: () => new pg.Client('postgres://postgres@127.0.0.1:1/postgres') },
    })
    await put('id', { user: 'ada' })
    expect(snapshotOfStored((await live.get('id'))!)).toMatchObject({ user: 'ada' })
    await expect.poll(() => faults.length).toBe(1)
    expect(faults[0]!.message).toContain('cannot be listened to')
  })

  it('rejects within its deadline while a lock holds up its statement, and recovers', async () => {
    const { pool, live, put, tableName } = await started({ live: { timeoutMs: 300 } })
    await put('id', { user: 'ada' })
    // The first one has to connect within the deadline, too.
    await expect.poll(() => live.get('id').catch(() => undefined)).toBeDefined()
    const other = await pool.connect()
    await other.query(`BEGIN; LOCK TABLE "${tableName}" IN ACCESS EXCLUSIVE MODE`)
    const since = performance.now()
    await expect(live.get('id')).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    // By default it would be two seconds.
    expect(performance.now() - since).toBeLessThan(1_900)
    await other.query('ROLLBACK')
    other.release()
    await expect.poll(() => live.get('id').catch(() => undefined)).toBeDefined()
  })

  it('reports a change of everything when its connection was lost, or the server has crashed', async () => {
    const own = await startPostgresServer()
    const { pool, store, tableName, newClient } = await startPgStore(own.url)
    const live = postgresLiveStore(pool, { newClient, tableName })
    atEnd(() => live.close())
    const reports = reportsOf(live)
    await new Promise((resolve) => store.set('id', recordOf({ user: 'ada' }), resolve))
    live.watch('id')
    await live.get('id')
    await own.crash()
    await expect(live.get('id')).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    const missed = reports.next(undefined)
    const again = await own.restart()
    await missed
    await expect.poll(() => live.get('id').catch(() => undefined)).toBeDefined()
    const heard = reports.next('id')
    await new Promise((resolve) => store.destroy('id', resolve))
    await heard
    await again.stop()
  }, 60_000)

  it('finds a table in a schema of its own, whatever the names', async () => {
    const pool = startPool(server.url)
    const names = { schemaName: 'app "s"', tableName: `user's "sessions"` }
    await pool.query(`CREATE SCHEMA "app ""s"""`)
    await pool.query(
      `CREATE TABLE "app ""s"""."user's ""sessions""" (sid varchar PRIMARY KEY, sess jsonb NOT NULL, expire timestamp(6) NOT NULL)`,
    )
    for (let twice = 0; twice < 2; twice += 1) await pool.query(postgresTrigger(names))
    const live = postgresLiveStore(pool, { newClient: () => new pg.Client(server.url), ...names })
    atEnd(() => live.close())
    const reports = reportsOf(live)
    live.watch('id')
    await live.get('id')
    const heard = reports.next('id')
    await pool.query(
      `INSERT INTO "app ""s"""."user's ""sessions""" VALUES ('id', '{"cookie":{},"user":"ada"}', now() + interval '1 hour')`,
    )
    await heard
    const stored = (await live.get('id'))!
    expect(await live.replace('id', stored, changed(stored, { user: 'eve' }))).toHaveProperty('replaced')
    expect(snapshotOfStored((await live.get('id'))!)).toMatchObject({ user: 'eve' })
  })

  it('throws a TypeError that names what is wrong', async () => {
    const pool = startPool(server.url)
    const newClient = () => new pg.Client(server.url)
    const make =
      (...args: unknown[]) =>
      () =>
        postgresLiveStore(...(args as unknown as Parameters<typeof postgresLiveStore>))
    expect(make(undefined, { newClient })).toThrow(/must be a Pool/)
    expect(make(pool)).toThrow(/`newClient` is required/)
    expect(make(pool, { newClient, tableName: '' })).toThrow(/`tableName`/)
    expect(make(pool, { newClient, schemaName: 5 })).toThrow(/`schemaName`/)
    expect(make(pool, { newClient, timeoutMs: -1 })).toThrow(/`timeoutMs`/)
    expect(make(pool, { newClient, ttl: 'x' })).toThrow(/`ttl`/)
    expect(make(pool, { newClient, table: 'x' })).toThrow(/option `table` is unknown/)
    expect(() => postgresTrigger({ table: 'x' } as never)).toThrow(/option `table` is unknown/)
    const live = postgresLiveStore(pool, { newClient })
    live.onChange(() => undefined)
    expect(() => {
      live.onChange(() => undefined)
    }).toThrow(/belongs to another bridge/)
  })
})
