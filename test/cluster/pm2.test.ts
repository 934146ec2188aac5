// pm2 is the primary.
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { atEnd } from '../support/at-end.js'
import { open } from '../support/client.js'
import { compiled } from '../support/forked.js'

const patient = { timeout: 30_000 }
const script = createRequire(import.meta.url).resolve('pm2/bin/pm2')
const folder = mkdtempSync(join(tmpdir(), 'wsb-pm2-'))
const home = join(folder, 'home')

const pm2 = (...args: string[]) =>
  promisify(execFile)(process.execPath, [script, ...args], { env: { ...process.env, PM2_HOME: home } })
const daemon = () => Number(readFileSync(join(home, 'pm2.pid'), 'utf8'))

interface Place {
  readonly port: number
  readonly pid: number
}
interface Heard {
  readonly messages: string[]
  readonly gaps: number
  readonly faults: string[]
}

/** A worker of an app, by its number. */
function workerOf(app: string, number: number) {
  const file = join(folder, `${app}-${number}.json`)
  const place = () => JSON.parse(readFileSync(file, 'utf8')) as Place
  const call = (method: string, path: string, { cookie = '', body = '' } = {}) =>
    fetch(`http://127.0.0.1:${place().port}${path}`, {
      method,
      headers: { cookie, 'content-type': 'text/plain' },
      ...(body === '' ? {} : { body }),
    })
  const heard = async () => (await (await call('GET', '/channel')).json()) as Heard
  return {
    place,
    call,
    heard,
    isUp: () => vi.waitUntil(() => existsSync(file), patient),
    isOpen: (gaps = 1) => vi.waitFor(async () => expect((await heard()).gaps).toBeGreaterThanOrEqual(gaps), patient),
    hears: (message: string) => expect.poll(async () => (await heard()).messages, patient).toContain(message),
    publish: async (body: string) => (await call('POST', '/publish', { body })).text(),
    connect: (cookie: string) => open(`ws://127.0.0.1:${place().port}/ws`, { cookie }),
    login: async (name: string) => {
      const answer = await call('POST', `/login?name=${name}`)
      // express-session sends the headers before it has saved.
      await answer.text()
      return answer.headers.getSetCookie()[0]!.split(';')[0]!
    },
  }
}

const web = [0, 1, 2].map((number) => workerOf('web', number))
const [first, second, third] = web as [(typeof web)[0], (typeof web)[0], (typeof web)[0]]
const other = workerOf('other', 0)

beforeAll(async () => {
  const app = {
    script: join(compiled('test/cluster', 'test/stores', 'test/support'), 'test/cluster/pm2-app.js'),
    exec_mode: 'cluster',
    wait_ready: true,
  }
  const apps = [
    { ...app, name: 'web', instances: web.length, env: { FOLDER: folder, CHANNEL: 'common' } },
    { ...app, name: 'other', instances: 1, env: { FOLDER: folder } },
  ]
  mkdirSync(home)
  writeFileSync(join(folder, 'ecosystem.config.cjs'), `module.exports = ${JSON.stringify({ apps })}`)
  atEnd(async () => {
    await pm2('kill')
    rmSync(folder, { recursive: true, force: true })
  })
  await pm2('start', join(folder, 'ecosystem.config.cjs'))
  for (const worker of [...web, other]) await worker.isUp()
  for (const worker of [...web, other]) await worker.isOpen()
}, 60_000)

describe('clusterChannel under pm2 in cluster mode', () => {
  it('ends a session and a user on every worker', async () => {
    const cookie = await first.login('ada')
    const sockets = await Promise.all(web.map(({ connect }) => connect(cookie)))
    const begun = performance.now()
    await first.call('POST', '/logout', { cookie })
    for (const { closed } of sockets) expect((await closed).code).toBe(4401)
    console.log(
      `under pm2: a logout has closed the sockets of ${web.length} workers after ${Math.round(performance.now() - begun)} ms`,
    )

    const again = await Promise.all(web.map(({ connect }) => first.login('ada').then(connect)))
    const answer = await second.call('POST', '/disconnect?user=ada')
    expect(await answer.json()).toMatchObject({ complete: true })
    for (const { closed } of again) await closed
    for (const { heard } of web) expect((await heard()).faults).toEqual([])
  })

  it('tells all workers what one of them says, once, under its name alone', async () => {
    const large = '🌍'.repeat(100_000)
    for (const message of ['hello', large]) expect(await second.publish(message)).toBe('published')
    for (const { hears, heard } of web) {
      for (const message of ['hello', large]) await hears(message)
      const { messages } = await heard()
      expect(messages.length).toBe(new Set(messages).size)
    }
    expect(await other.publish('elsewhere')).toBe('published')
    await other.hears('elsewhere')
    expect((await other.heard()).messages).not.toContain('hello')
    expect((await first.heard()).messages).not.toContain('elsewhere')
  })

  it('goes on with the workers of a reload', async () => {
    const before = web.map(({ place }) => place().pid)
    await pm2('reload', 'web')
    for (const [index, { place, isOpen }] of web.entries()) {
      await expect.poll(() => place().pid, patient).not.toBe(before[index])
      await isOpen()
    }
    const cookie = await first.login('grace')
    const sockets = await Promise.all(web.map(({ connect }) => connect(cookie)))
    await third.call('POST', '/logout', { cookie })
    for (const { closed } of sockets) expect((await closed).code).toBe(4401)
  })

  it('says that pm2 passes nothing on while it is stopped, and that messages may have been missed', async () => {
    const { gaps } = await first.heard()
    process.kill(daemon(), 'SIGSTOP')
    const failure = first.publish('lost').finally(() => process.kill(daemon(), 'SIGCONT'))
    expect(await failure).toContain('pm2 passes no messages on, or not in time.')
    await first.isOpen(gaps + 1)
    expect(await first.publish('back')).toBe('published')
    await second.hears('back')
  })
})
