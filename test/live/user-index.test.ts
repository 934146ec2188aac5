import { describe, expect, it } from 'vitest'
import { userOf } from '../../src/live/identify.js'
import { UserIndex, type UserSession } from '../../src/live/user-index.js'
import type { SessionSnapshot } from '../../src/store/snapshot.js'

const session = (user: string, connections = 1): UserSession => ({ user, size: connections })

describe('UserIndex', () => {
  it('finds the sessions of a user, and of that user alone', () => {
    const index = new UserIndex()
    const [phone, laptop, other] = [session('ada', 2), session('ada', 3), session('grace')]
    for (const one of [phone, laptop, other]) index.add(one.user!, one)
    expect(index.sessionsOf('ada')).toEqual([phone, laptop])
    expect(index.connectionsOf('ada')).toBe(5)
    expect(index.connectionsOf('grace')).toBe(1)
    expect(index.sessionsOf('eve')).toEqual([])
    expect(index.size).toBe(2)
  })

  it('keeps nothing of a user whose last session has gone', () => {
    const index = new UserIndex()
    const sessions = [session('ada'), session('ada'), session('ada')]
    for (const one of sessions) index.add('ada', one)
    for (const one of sessions) index.remove('ada', one)
    expect(index.size).toBe(0)
    expect(index.connectionsOf('ada')).toBe(0)
  })

  it('counts a session once, however often it is added, and leaves others when an unknown one is removed', () => {
    const index = new UserIndex()
    const [known, unknown] = [session('ada'), session('ada')]
    index.add('ada', known)
    index.add('ada', known)
    index.remove('ada', unknown)
    index.remove('grace', known)
    expect(index.sessionsOf('ada')).toEqual([known])
  })

  it('has no user by the name of what every object has', () => {
    const index = new UserIndex()
    for (const name of ['__proto__', 'constructor', 'toString']) expect(index.sessionsOf(name)).toEqual([])
  })
})

describe('userOf', () => {
  const none = {} as SessionSnapshot
  it.each([
    ['ada', 'ada'],
    [42, '42'],
    [0, '0'],
    [undefined, undefined],
    [null, undefined],
  ])('takes %j for %j', (answer, user) => {
    expect(userOf(() => answer, none)).toBe(user)
  })

  it.each([
    { what: 'an empty string', identify: () => '' },
    { what: 'an object', identify: () => ({}) },
    { what: 'true', identify: () => true },
    { what: 'no finite number', identify: () => NaN },
    { what: 'a promise', identify: async () => 'ada' },
    { what: 'a promise that rejects', identify: async () => Promise.reject(new Error('late')) },
  ])('throws a TypeError for $what', ({ identify }) => {
    expect(() => userOf(identify as never, none)).toThrow(TypeError)
  })
})
