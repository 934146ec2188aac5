// what holds for every LiveStore, as tests.
import { Cookie, type SessionData, type Store } from 'express-session'
import { describe, expect, it } from 'vitest'
import type { LiveStore, StoredSession } from 'ws-session-bridge'
import { snapshotOfStored } from '../../src/store/normalized-session.js'
import { atEnd } from '../support/at-end.js'

export interface LiveStoreFixture {
  readonly live: LiveStore
  /** The store that HTTP requests use. */
  readonly store: Store
  /** `touch` changes nothing: the store is told so. */
  readonly ignoresTouch?: boolean
}

/** A session's record as express-session hands it to a store. */
export function recordOf(data: object, maxAge: number | null = 60_000): SessionData {
  const cookie = new Cookie()
  cookie.originalMaxAge = cookie.maxAge = maxAge as number
  return { cookie, ...data }
}

export function describeLiveStore(name: string, start: () => Promise<LiveStoreFixture> | LiveStoreFixture): void {
  async function started() {
    const fixture = await start()
    const { live, store } = fixture
    atEnd(() => live.close())
    const reports = reportsOf(live)
    const put = async (sessionID: string, data: object, maxAge?: number | null) => {
      await new Promise((resolve) => store.set(sessionID, recordOf(data, maxAge), resolve))
    }
    const remove = async (sessionID: string) => {
      await new Promise((resolve) => store.destroy(sessionID, resolve))
    }
    const held = async (sessionID: string) => {
      const stored = await live.get(sessionID)
      if (stored === undefined) throw new Error('There is no such session')
      return stored
    }
    return { ...fixture, reports, put, remove, held }
  }

  describe(`${name}, as a LiveStore`, () => {
    it('resolves to undefined for a session that was never made', async () => {
      const { live } = await started()
      expect(await live.get('unknown')).toBeUndefined()
    })

    it.each([60_000, null])('reads what an HTTP request wrote, with a maxAge of %s', async (maxAge) => {
      const { put, held } = await started()
      await put('id', { user: 'ada', since: new Date(0) }, maxAge)
      const stored = await held('id')
      expect(snapshotOfStored(stored)).toMatchObject({
        user: 'ada',
        since: '1970-01-01T00:00:00.000Z',
        cookie: { originalMaxAge: maxAge, path: '/' },
      })
      expect(stored.expiresAt ?? Infinity).toBeGreaterThan(Date.now())
    })

    it.each([60_000, null])('resolves to the held object if nothing changed, with a maxAge of %s', async (maxAge) => {
      const { live, put, held } = await started()
      await put('id', { user: 'ada' }, maxAge)
      const first = await held('id')
      const second = await live.get('id', first)
      expect(await live.get('id', second)).toBe(second)
      expect(snapshotOfStored(second!)).toEqual(snapshotOfStored(first))
    })

    it('resolves to the new record after a change, and to undefined after a destroy', async () => {
      const { live, put, remove, held } = await started()
      await put('id', { user: 'ada' })
      const first = await held('id')
      await put('id', { user: 'eve' })
      const second = await live.get('id', first)
      expect(snapshotOfStored(second!)).toMatchObject({ user: 'eve' })
      await remove('id')
      expect(await live.get('id', second)).toBeUndefined()
    })

    it('resolves to an object that a later change leaves as it is', async () => {
      const { live, put, held } = await started()
      await put('id', { user: 'ada' })
      const first = await held('id')
      await live.replace('id', first, changed(first, { user: 'eve' }))
      expect(snapshotOfStored(first)).toMatchObject({ user: 'ada' })
    })

    it('replaces a record that is as expected, and resolves to what was written', async () => {
      const { live, put, held } = await started()
      await put('id', { user: 'ada', role: 'reader' })
      const first = await held('id')
      const result = await live.replace('id', first, changed(first, { user: 'eve' }))
      expect(result).toHaveProperty('replaced')
      const { replaced } = result as { replaced: StoredSession }
      expect(snapshotOfStored(replaced)).toMatchObject({ user: 'eve', role: 'reader' })
      expect(snapshotOfStored(await held('id'))).toMatchObject({ user: 'eve', role: 'reader' })
      expect(await live.replace('id', replaced, changed(replaced, { user: 'bob' }))).toHaveProperty('replaced')
    })

    it('leaves a record that is not as expected, and resolves to it', async () => {
      const { live, put, held } = await started()
      await put('id', { user: 'ada' })
      const first = await held('id')
      await put('id', { user: 'bob' })
      const result = await live.replace('id', first, changed(first, { user: 'eve' }))
      expect(result).toHaveProperty('changed')
      expect(snapshotOfStored((result as { changed: StoredSession }).changed)).toMatchObject({ user: 'bob' })
      expect(snapshotOfStored(await held('id'))).toMatchObject({ user: 'bob' })
    })

    it('does not bring a destroyed session back by replace or touch', async () => {
      const { live, put, remove, held } = await started()
      await put('id', { user: 'ada' })
      const first = await held('id')
      await remove('id')
      expect(await live.replace('id', first, changed(first, { user: 'eve' }))).toBe('gone')
      expect(await live.touch('id')).toBe('gone')
      expect(await live.get('id')).toBeUndefined()
    })

    it('loses none of forty writes at once', async () => {
      const { live, put, held } = await started()
      await put('id', { views: 0 })
      const increment = async () => {
        let current = await held('id')
        for (;;) {
          const { views = 0 } = snapshotOfStored(current)
          const result = await live.replace('id', current, changed(current, { views: views + 1 }))
          if (result === 'gone') throw new Error('It is gone')
          if ('replaced' in result) return
          current = result.changed
        }
      }
      await Promise.all(Array.from({ length: 40 }, increment))
      expect(snapshotOfStored(await held('id'))).toMatchObject({ views: 40 })
    })

    it('touches a session without changing its data', async () => {
      const { live, put, held } = await started()
      await put('id', { user: 'ada' })
      const { cookie, ...before } = snapshotOfStored(await held('id'))
      expect(await live.touch('id')).toBe('touched')
      expect(snapshotOfStored(await held('id'))).toMatchObject(before)
    })

    it('destroys a session, and a second destroy does no harm', async () => {
      const { live, put } = await started()
      await put('id', { user: 'ada' })
      await live.destroy('id')
      await live.destroy('id')
      expect(await live.get('id')).toBeUndefined()
    })

    it('reports changes, touches and the destroy of a watched session that was read', async () => {
      const { live, reports, put, remove, held, ignoresTouch } = await started()
      await put('id', { user: 'ada' })
      live.watch('id')
      let stored = await held('id')
      const touches = ignoresTouch === true ? [] : [() => live.touch('id')]
      for (const change of [() => put('id', { user: 'eve' }), ...touches, () => remove('id')]) {
        const reported = reports.next('id')
        await change()
        await reported
        stored = (await live.get('id', stored)) ?? stored
      }
    })

    it('reports neither other sessions nor one that is no longer watched', async () => {
      const { live, reports, put, held } = await started()
      for (const id of ['id', 'other', 'last']) await put(id, { user: 'ada' })
      for (const id of ['id', 'last']) live.watch(id)
      for (const id of ['id', 'other', 'last']) await held(id)
      live.unwatch('id')
      for (const id of ['id', 'other']) await put(id, { user: 'eve' })
      const reported = reports.next('last')
      await put('last', { user: 'eve' })
      await reported
      expect(new Set(reports.all)).toEqual(new Set(['last']))
    })

    it('reads its own write, whether it reports it or not', async () => {
      const { live, put, held } = await started()
      await put('id', { user: 'ada' })
      live.watch('id')
      const first = await held('id')
      await live.replace('id', first, changed(first, { user: 'eve' }))
      expect(snapshotOfStored((await live.get('id', first))!)).toMatchObject({ user: 'eve' })
    })

    it('can be closed twice, and leaves the store working', async () => {
      const { live, put, store } = await started()
      await live.close()
      await live.close()
      await put('id', { user: 'ada' })
      const found = await new Promise((resolve, reject) => {
        store.get('id', (error: unknown, record) => {
          if (error instanceof Error) reject(error)
          else resolve(record)
        })
      })
      expect(found).toMatchObject({ user: 'ada' })
    })
  })
}

/** What a LiveStore reports, and a wait for the next report that may mean a session. */
export function reportsOf(live: LiveStore) {
  const all: (string | undefined)[] = []
  const waiting = new Set<(sessionID: string | undefined) => void>()
  live.onChange((sessionID) => {
    all.push(sessionID)
    for (const told of waiting) told(sessionID)
  })
  return {
    all,
    next: (sessionID: string | undefined) =>
      new Promise<void>((resolve) => {
        const told = (reported: string | undefined) => {
          if (reported !== sessionID && reported !== undefined) return
          waiting.delete(told)
          resolve()
        }
        waiting.add(told)
      }),
  }
}

export function changed(stored: StoredSession, changes: object): SessionData {
  return { ...snapshotOfStored(stored), ...changes } as unknown as SessionData
}
