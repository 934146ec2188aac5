import { createSecretKey } from 'node:crypto'
import { sign } from 'cookie-signature'
import { describe, expect, it } from 'vitest'
import { createSessionBridge, type SessionBridgeOptions } from 'ws-session-bridge'
import { SecretKeys } from '../../src/internal/secrets.js'
import { startApp, type App } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { AskedStore, createExpressReader } from './express-reader.js'
import { requestWith } from './request.js'
import { statusOf } from './status.js'

type Session = Omit<SessionBridgeOptions['session'], 'store'>

const signed = `s:${sign('id', 'a secret')}`
const other = `s:${sign('other', 'a secret')}`
const mac = sign('id', 'a secret').slice(3)

/** What both make of a header; they never differ. */
function read(header: string, session: Session = { secret: 'a secret' }): string | undefined {
  const bridge = createSessionBridge({ session: { ...session, store: new AskedStore() } })
  const sessionID = bridge.readSessionID(header)
  expect(sessionID).toBe(createExpressReader(session)(header))
  return sessionID
}

describe('cookie, its value', () => {
  it.each([
    ['as it was signed', `connect.sid=${signed}`],
    ['encoded', `connect.sid=${encodeURIComponent(signed)}`],
    ['in one pair of quotes', `connect.sid="${signed}"`],
    ['between blanks and tabs', `connect.sid \t= \t${signed} \t`],
    ['after a pair without a sign of equality', `junk; connect.sid=${signed}`],
    ['after other cookies', `a=1; b="2"; __proto__=x; connect.sid=${signed}; c=3`],
  ])('is read %s', (_how, header) => {
    expect(read(header)).toBe('id')
  })

  it.each([
    ['two pairs of quotes', `connect.sid=""${signed}""`],
    ['one quote', `connect.sid="${signed}`],
    ['quotes around a semicolon', `connect.sid="${signed};"`],
    ['a malformed escape', `connect.sid=${encodeURIComponent(signed)}%zz`],
    ['a second encoding', `connect.sid=${encodeURIComponent(encodeURIComponent(signed))}`],
    ['no s:', `connect.sid=${signed.slice(2)}`],
    ['a large S', `connect.sid=S${signed.slice(1)}`],
    ['another character in the ID', `connect.sid=s:ie.${mac}`],
    ['another case of the signature', `connect.sid=s:id.${mac.toLowerCase()}`],
    ['a signature cut short', `connect.sid=${signed.slice(0, -1)}`],
    ['a signature of as many characters, but more bytes', `connect.sid=s:id.${encodeURIComponent(`é${mac.slice(1)}`)}`],
    ["base64's own padding", `connect.sid=${signed}=`],
    ['no signature', 'connect.sid=s:id'],
    ['an empty signature', 'connect.sid=s:id.'],
    ['nothing', 'connect.sid='],
    ['the empty ID, well signed', `connect.sid=s:${sign('', 'a secret')}`],
    ['the signature of a stranger', `connect.sid=s:${sign('id', 'guessed')}`],
  ])('proves nothing with %s', (_what, header) => {
    expect(read(header)).toBeUndefined()
  })

  it.each([
    ['no-cookie', ''],
    ['unsigned-cookie', 'id'],
    ['bad-signature', 's:id'],
    ['bad-signature', 's:id.'],
    ['no-session', `s:${sign('', 'a secret')}`],
  ])('is refused as %s where it is %j', async (reason, value) => {
    const bridge = createSessionBridge({ session: { secret: 'a secret', store: new AskedStore() } })
    const verdict = await bridge.authenticate(requestWith({ cookie: `connect.sid=${value}` }))
    expect(verdict).toEqual({ accepted: false, refusal: { reason, status: 401 } })
  })

  it('reads an escape as it stands where the rest is malformed', () => {
    const sessionID = '%41%zz'
    expect(read(`connect.sid=s:${sign(sessionID, 'a secret')}`)).toBe(sessionID)
  })

  it.each(['a.b.c', '.', 'sïd', '会話', 'a\u0000b', ' id ', '"id"', 'a;b', 's:id'])(
    'may hold the ID %j',
    (sessionID) => {
      expect(read(`connect.sid=${encodeURIComponent(`s:${sign(sessionID, 'a secret')}`)}`)).toBe(sessionID)
    },
  )
})

describe('cookie, its name', () => {
  it('is connect.sid by default, in exactly these letters', () => {
    for (const name of ['Connect.sid', 'connect.si', 'connect.sid2', 'xconnect.sid', 'connect', '"connect.sid"']) {
      expect(read(`${name}=${signed}`)).toBeUndefined()
    }
  })

  it.each([
    [{ name: 'sid' }, 'sid'],
    [{ key: 'sid' }, 'sid'],
    [{ name: 'sid', key: 'other' }, 'sid'],
    [{ name: '', key: 'sid' }, 'sid'],
    [{ name: '', key: '' }, 'connect.sid'],
  ])('with %o is %s', (names, name) => {
    expect(read(`connect.sid2=x; other=${other}; ${name}=${signed}`, { secret: 'a secret', ...names })).toBe('id')
  })

  it.each([
    ['good', other, 'other'],
    ['empty', '', undefined],
    ['forged', 's:id.forged', undefined],
    ['unsigned', 'id', undefined],
  ])('decides by its first pair alone, be it %s', (_what, value, expected) => {
    expect(read(`connect.sid=${value}; connect.sid=${signed}`)).toBe(expected)
  })

  it('decides by the first of several Cookie headers, too', async () => {
    const app = await startApp()
    const cookie = await app.login('ada')
    const forged = 'connect.sid=s:id.forged'
    expect(await statusOf(app, { headers: { cookie: ['theme=dark', cookie] } })).toBe(101)
    expect(await statusOf(app, { headers: { cookie: [cookie, forged] } })).toBe(101)
    expect(await statusOf(app, { headers: { cookie: [forged, cookie] } })).toBe(401)
  })
})

describe('cookie, its secrets', () => {
  it.each([
    ['a string', 'a secret'],
    ['a Buffer', Buffer.from('a secret')],
    ['a typed array', new Uint8Array(Buffer.from('a secret'))],
    ['a KeyObject', createSecretKey('a secret', 'utf8')],
    ['a list', ['new', Buffer.from('newer'), createSecretKey('a secret', 'utf8')]],
  ])('may be %s', (_what, secret) => {
    expect(read(`connect.sid=${signed}`, { secret })).toBe('id')
  })

  it('all verify, in any order', () => {
    expect(read(`connect.sid=${signed}`, { secret: ['a secret', 'old'] })).toBe('id')
    expect(read(`connect.sid=${signed}`, { secret: ['new', 'a secret'] })).toBe('id')
    expect(read(`connect.sid=${signed}`, { secret: ['new', 'newer'] })).toBeUndefined()
  })
})

describe('cookie, a list of secrets that the app changes while it runs', () => {
  const userIn = async (app: App, cookie: string) =>
    ((await (await app.call('GET', '/me', cookie)).json()) as { user?: string }).user

  it('lets in who has been given a cookie by a secret that was put in front', async () => {
    const secret = ['one']
    const app = await startApp({ session: { secret } })
    const before = await app.login('ada')
    secret.unshift('two')
    const after = await app.login('bob')
    expect(await userIn(app, after)).toBe('bob')
    expect(await statusOf(app, { cookie: after })).toBe(101)
    expect(await statusOf(app, { cookie: before })).toBe(101)
  })

  it('refuses what a secret has signed that was taken out', async () => {
    const secret = ['new', 'leaked']
    const app = await startApp({ session: { secret } })
    secret.reverse()
    const cookie = await app.login('ada')
    expect(await statusOf(app, { cookie })).toBe(101)
    secret.shift()
    expect(await userIn(app, cookie)).toBeUndefined()
    expect(await statusOf(app, { cookie })).toBe(401)
    expect(app.refusals).toMatchObject([{ reason: 'bad-signature' }])
  })

  it('is read as express-session reads it, whatever is changed', () => {
    const secret: (string | Buffer)[] = ['a secret']
    const session = { secret }
    const bridge = createSessionBridge({ session: { ...session, store: new AskedStore() } })
    const byExpress = createExpressReader(session)
    const expectBoth = (sessionID: string | undefined) => {
      expect(byExpress(`connect.sid=${signed}`)).toBe(sessionID)
      expect(bridge.readSessionID(`connect.sid=${signed}`)).toBe(sessionID)
    }
    expectBoth('id')
    secret.unshift('newer')
    expectBoth('id')
    secret.pop()
    expectBoth(undefined)
    const bytes = Buffer.from('a secret')
    secret.push(bytes)
    expectBoth('id')
    bytes.fill(0)
    expectBoth(undefined)
    secret[0] = 'a secret'
    expectBoth('id')
    secret.length = 0
    expectBoth(undefined)
  })

  it('signs with the first one that is there', () => {
    const secret = ['a secret']
    const bridge = createSessionBridge({ session: { secret, store: new AskedStore() } })
    secret.unshift('newer')
    expect(bridge.signedCookie('id')).toBe(`connect.sid=${encodeURIComponent(`s:${sign('id', 'newer')}`)}`)
    secret.length = 0
    expect(() => bridge.signedCookie('id')).toThrow(TypeError)
    expect(() => bridge.signedCookie('id')).toThrow('`secret`')
  })

  it.each([[undefined], [null], [''], [5], [Buffer.alloc(0)]])(
    'refuses everything that reaches %o in it, as a fault',
    async (broken) => {
      const secret: unknown[] = ['a secret']
      const app = await startApp({ session: { secret: secret as string[] } })
      const cookie = await app.login('ada')
      secret.push(broken)
      expect(await statusOf(app, { cookie })).toBe(101)
      // An empty secret would verify what anybody can sign.
      const forged = `connect.sid=s:${sign('id', '')}`
      expect(await statusOf(app, { cookie: forged })).toBe(500)
      expect(app.refusals).toMatchObject([{ reason: 'authorize-failed', error: expect.any(TypeError) as TypeError }])
      expect(app.faults).toEqual([expect.any(TypeError)])
      expect(app.bridge.readSessionID(forged)).toBeUndefined()
      expect(app.faults).toHaveLength(2)
    },
  )

  it('keeps no key of a secret that was taken out, however many there were', () => {
    const secrets = ['first']
    const keys = new SecretKeys(secrets, (secret) => ({ secret }))
    const first = keys.of('first')
    expect(keys.of('first')).toBe(first)
    for (let index = 0; index < 1_000; index += 1) {
      secrets[0] = `number ${index}`
      keys.of(secrets[0])
    }
    expect(keys.size).toBe(1)
  })
})

describe('cookie, and nothing else', () => {
  it.each([
    ['without a cookie', ''],
    ['after a bad signature', 'connect.sid=s:id.forged'],
  ])("does not take cookie-parser's word %s, as express-session does", async (_when, header) => {
    silenceDeprecations()
    const parsed = { signedCookies: { 'connect.sid': 'id' }, cookies: { 'connect.sid': signed } }
    expect(createExpressReader({ secret: 'a secret' })(header, parsed)).toBe('id')

    const app = await startApp()
    app.app.get('/verdict', async (request, response) => {
      Object.assign(request, parsed)
      response.json({ id: app.bridge.readSessionID(request), verdict: await app.bridge.authenticate(request) })
    })
    const answer: unknown = await (await app.call('GET', '/verdict', header)).json()
    expect(answer).toMatchObject({ verdict: { accepted: false, refusal: { status: 401 } } })
    expect(answer).not.toHaveProperty('id')
  })
})

/* express-session warns of the fallback; whoever listens is not told on stderr. */
function silenceDeprecations(): void {
  const emitter: NodeJS.EventEmitter = process
  const listener = () => undefined
  emitter.on('deprecation', listener)
  atEnd(() => emitter.off('deprecation', listener))
}
