import { createSecretKey, generateKeyPairSync } from 'node:crypto'
import { EventEmitter } from 'node:events'
import expressSession, { MemoryStore } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import { createSessionBridge, type SessionBridgeOptions } from 'ws-session-bridge'
import { atEnd } from './support/at-end.js'

const store = new MemoryStore()
const session = { store, secret: 'a secret' }

/** Options as JavaScript, or a configuration file, may give them. */
function create(options: unknown) {
  const bridge = createSessionBridge(options as SessionBridgeOptions)
  atEnd(() => bridge.close())
  return bridge
}

function expectRefused(options: unknown, name: string): void {
  let thrown: unknown
  try {
    create(options)
  } catch (error) {
    thrown = error
  }
  expect(thrown).toBeInstanceOf(TypeError)
  expect((thrown as TypeError).message).toContain(name)
}

describe('options, all of them', () => {
  it.each([undefined, null, 5, 'session', [session], /session/, () => session])(
    'are an object: %j is a TypeError',
    (options) => {
      expectRefused(options, 'createSessionBridge: the options must be an object')
    },
  )

  it.each(['origin', 'Origins', 'maxSockets', 'trustproxy', 'secret', '__defineGetter__', 'toString'])(
    'have no other names: %s is a TypeError that lists those there are',
    (name) => {
      expectRefused(
        { session, [name]: true },
        `Option \`${name}\` is unknown. The options are: session, live, channel, origins, `,
      )
    },
  )

  it('may be given as undefined, and then have their defaults', () => {
    const names = [
      'live',
      'origins',
      'requireOrigin',
      'trustProxy',
      'authorize',
      'anonymous',
      'refuseWith',
      'keepAlive',
    ]
    create({ session, ...Object.fromEntries(names.map((name) => [name, undefined])) })
  })
})

describe('options, session', () => {
  it.each([undefined, null, 5, 'secret'])('is required: %j is a TypeError', (given) => {
    expectRefused({ session: given }, '`session` is required')
  })

  it('says so where it is the middleware of express-session instead of its options', () => {
    const middleware = expressSession({ secret: 'a secret', resave: false, saveUninitialized: false })
    expectRefused({ session: middleware }, 'middleware that `session(…)` of express-session returns')
  })

  it('needs a store, for express-session keeps its own default to itself', () => {
    expectRefused({ session: { secret: 'a secret' } }, '`session.store` is required')
  })

  it.each([null, 5, {}, new Map(), new EventEmitter(), MemoryStore])('needs a Store: %o is a TypeError', (given) => {
    expectRefused({ session: { ...session, store: given } }, '`session.store` has no method')
  })

  it.each([
    [undefined],
    [null],
    [''],
    [5],
    [[]],
    [['']],
    [[undefined]],
    [['good', '']],
    [['good', undefined]],
    [Buffer.alloc(0)],
    [[['nested']]],
    [generateKeyPairSync('ed25519').privateKey],
    [{}],
  ])('needs secrets that are not empty: %o is a TypeError', (secret) => {
    expectRefused({ session: { store, secret } }, '`session.secret`')
  })

  it.each([
    ['a secret'],
    [['a secret', 'another']],
    [Buffer.from('a secret')],
    [createSecretKey('a secret', 'utf8')],
    [new Uint16Array([1, 2])],
  ])('takes the secret %o', (secret) => {
    expect(create({ session: { store, secret } }).signedCookie('id')).toMatch(/^connect\.sid=s%3Aid\./)
  })

  it.each(['__proto__', 'toString', 'constructor', 'hasOwnProperty', 'a b', 'a;b', 'a=b', 'ä', 5, {}])(
    'needs a cookie name that every parser reads: %o is a TypeError',
    (name) => {
      expectRefused({ session: { ...session, name } }, '`session.name`')
      expectRefused({ session: { ...session, key: name } }, '`session.name`')
    },
  )

  it.each(['none', 5, true])('needs an object or a function as cookie: %o is a TypeError', (cookie) => {
    expectRefused({ session: { ...session, cookie } }, '`session.cookie`')
  })

  it('may hold everything else that express-session knows', () => {
    create({ session: { ...session, name: 'sid', resave: false, rolling: true, proxy: true, unset: 'destroy' } })
  })
})

describe('options, origins', () => {
  it.each([
    ['same-site'],
    ['https://app.test'],
    [null],
    [true],
    [{}],
    [['app.test']],
    [['*']],
    [['https://*.app.test']],
    [['https://app.test/']],
    [['https://app.test/path']],
    [['https://app.test?query']],
    [['https://me@app.test']],
    [['https://a.com\\@evil.com']],
    [[' https://app.test']],
    [['https://app.test,https://b.test']],
    [['']],
    [['any']],
    [['capacitor://localhost/']],
    [['capacitor:localhost']],
    [['app://*']],
    [['NULL']],
    [['ws://app.test']],
    [['https://']],
    [['https://app.test:99999']],
    [['https://good.test', undefined]],
    [[['https://good.test']]],
    [[/app/]],
  ])('%j is a TypeError', (origins) => {
    expectRefused({ session, origins }, '`origins`')
  })

  it.each([
    ['same-origin'],
    ['any'],
    [['https://app.test', 'http://localhost:3000']],
    [['same-origin', 'capacitor://localhost', 'app://-', 'file://', 'chrome-extension://abcdef', 'null']],
    [() => true],
  ])('may be %o', (origins) => {
    create({ session, origins })
  })
})

describe('options, the others', () => {
  it.each(['requireOrigin', 'trustProxy'])('%s is true or false', (name) => {
    for (const value of ['true', 1, 0, null, {}]) expectRefused({ session, [name]: value }, `\`${name}\``)
    for (const value of [true, false]) create({ session, [name]: value })
  })

  it('authorize is a function', () => {
    for (const value of [true, 'admin', null, {}]) expectRefused({ session, authorize: value }, '`authorize`')
  })

  it('handshakeTimeoutMs is a time that a timer can wait', () => {
    for (const value of [0, -1, NaN, Infinity, 2 ** 31, '5000', null]) {
      expectRefused({ session, handshakeTimeoutMs: value }, '`handshakeTimeoutMs`')
    }
    for (const value of [0.5, 1, 2 ** 31 - 1]) create({ session, handshakeTimeoutMs: value })
  })

  it.each(['maxPending', 'maxSocketsPerSession'])('%s is a whole number from 1 on, or Infinity', (name) => {
    for (const value of [0, -1, 1.5, NaN, '10', null]) expectRefused({ session, [name]: value }, `\`${name}\``)
    for (const value of [1, 1_000, Infinity]) create({ session, [name]: value })
  })

  it('are checked before anything is touched: a refused bridge leaves no listener on the store', () => {
    const on = vi.spyOn(store, 'on')
    expectRefused({ session, maxPending: 0 }, 'maxPending')
    expectRefused({ session, origins: ['*'] }, 'origins')
    expect(on).not.toHaveBeenCalled()
  })
})
