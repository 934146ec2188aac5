// a line for each stage on stderr, without a session ID; without it, none.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { beforeAll, describe, expect, it } from 'vitest'
import { hashOf } from '../src/session-hash.js'
import { Trace } from '../src/trace.js'
import { compiled } from './support/forked.js'

interface Run {
  readonly stderr: string
  readonly said: { secrets: string[]; thrown: string[]; open: number }
}

/** Runs traced/app.ts to its end. */
async function run(folder: string, NODE_DEBUG: string): Promise<Run> {
  const child = fork(join(folder, 'test/traced/app.js'), {
    execArgv: [],
    silent: true,
    env: { ...process.env, NODE_DEBUG },
  })
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  let said: Run['said'] | undefined
  child.on('message', (message) => (said = message as Run['said']))
  await once(child, 'close')
  if (said === undefined) throw new Error(`The process has said nothing:\n${stderr}`)
  return { stderr, said }
}

describe('NODE_DEBUG=ws-session-bridge', () => {
  let on: Run
  let off: Run
  beforeAll(async () => {
    const folder = compiled('test/traced')
    on = await run(folder, 'ws-session-bridge')
    off = await run(folder, 'another-name')
  }, 30_000)

  it('writes a line for each stage that a request and its session pass', () => {
    const session = hashOf(on.said.secrets[0]!)
    const lines = on.stderr
      .trim()
      .split('\n')
      .filter((line) => line.startsWith('WS-SESSION-BRIDGE'))
      .map((line) => line.replace(/^WS-SESSION-BRIDGE \d+: /, '').replace(/\+[\d.]+ms/, '+?ms'))
    const number = /^(#\d+) \+\?ms 101/.exec(lines.find((line) => line.includes('101:')) ?? '')?.[1]
    const passed = lines.slice(lines.findIndex((line) => line.startsWith(`${String(number)} `)))
    expect(passed.slice(0, 7)).toEqual([
      `${number} GET "/chat" with Origin undefined from 127.0.0.1`,
      `${number} +?ms upgrade: 0 handshakes under way`,
      `${number} +?ms origin: allowed`,
      `${number} +?ms cookie: signed, session ${session}`,
      `${number} +?ms store: session found`,
      `${number} +?ms authorize: yes`,
      `${number} +?ms 101: open, session ${session}`,
    ])
    // A store may report a call more than once: when it is made, and when it is answered.
    const inside = new Set(passed.slice(7))
    const what = ['written', 'changed', 'destroyed', 'ended: destroyed 4401']
    expect([...inside]).toEqual(what.map((words) => `session ${session} ${words}`))
  })

  it.each([
    'refused: forbidden 403',
    'fault: authorize, Error',
    'refused: authorize-failed 500',
    'GET "/chat" with Origin "http://evil.test" from 127.0.0.1',
    'refused: origin-denied 403',
    'refused: bad-signature 401',
    'refused: unsigned-cookie 401',
    'refused: not-found 404',
    'ended: destroyed 4401',
  ])('says: %s', (line) => {
    expect(on.stderr).toContain(line)
  })

  it('writes no session ID, no signature, nothing of what an error or a query string says', () => {
    for (const secret of on.said.secrets) expect(on.stderr).not.toContain(secret)
    expect(on.stderr).not.toMatch(/token|welcome/)
  })

  it('writes nothing for another name', () => {
    expect(off.stderr).not.toContain('WS-SESSION-BRIDGE')
  })

  it('goes on after an error in a subscriber of a channel, which is an uncaughtException', () => {
    expect(on.said).toMatchObject({ thrown: ['a subscriber is broken'], open: 1 })
  })
})

describe('a trace', () => {
  const traced = () => {
    const lines: string[] = []
    return { lines, trace: new Trace((line) => lines.push(line)) }
  }

  it('numbers requests as they come, and describes each once', () => {
    const { lines, trace } = traced()
    const [one, other] = [new IncomingMessage(new Socket()), new IncomingMessage(new Socket())]
    trace.request(one, 'upgrade', 'first')
    trace.request(other, 'upgrade', 'second')
    trace.request(one, 'origin', 'allowed')
    const numbered = lines.map((line) => /^#\d+/.exec(line)?.[0])
    expect(numbered).toEqual(['#1', '#1', '#2', '#2', '#1'])
  })

  it('keeps a line a line, whatever the client sent', () => {
    const { lines, trace } = traced()
    const request = new IncomingMessage(new Socket())
    request.headers.origin = 'http://a.test\n#2 +0.0ms 101: open'
    trace.request(request, 'origin', 'x')
    expect(lines.join('\n').split('\n')).toHaveLength(2)
  })

  it('tells of a session by its hash, and of a fault by its kind and the name of its error', () => {
    const { lines, trace } = traced()
    trace.request(new IncomingMessage(new Socket()), 'cookie', 'signed', 'the ID')
    trace.session('the ID', 'changed')
    trace.fault('check', new RangeError('the ID is wrong'))
    expect(lines.slice(1)).toEqual([
      expect.stringMatching(new RegExp(`cookie: signed, session ${hashOf('the ID')}$`)),
      `session ${hashOf('the ID')} changed`,
      'fault: check, RangeError',
    ])
  })

  it('bears what is no request', () => {
    const { lines, trace } = traced()
    trace.request(undefined as never, 'refused', 'authorize-failed 500')
    trace.request({} as never, 'refused', 'authorize-failed 500')
    expect(lines[0]).toBe('refused: authorize-failed 500')
    expect(lines).toHaveLength(3)
  })
})
