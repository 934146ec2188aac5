// The other end is a server of the test: what pm2 itself answers, test/cluster/pm2.test.ts shows.
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Pm2Daemon } from '../../src/channel/pm2-daemon.js'
import { atEnd } from '../support/at-end.js'
import { createGate } from '../support/gate.js'

/** A daemon whose answers are given here. */
async function startDaemon() {
  const folder = await mkdtemp(join(tmpdir(), 'wsb-pm2-'))
  const address = join(folder, 'rpc.sock')
  const server = createServer()
  server.listen(address)
  await once(server, 'listening')
  let lost = 0
  const connected = once(server, 'connection') as Promise<[Socket]>
  const client = new Pm2Daemon(address, () => {
    lost += 1
  })
  const [socket] = await connected
  atEnd(async () => {
    client.destroy()
    socket.destroy()
    server.close()
    await rm(folder, { recursive: true })
  })
  const asked = async () => String(((await once(socket, 'data')) as [Buffer])[0])
  return { client, socket, asked, lost: () => lost }
}

function frame(...parts: readonly string[]): Buffer {
  const texts = parts.map((part) => Buffer.from(part))
  const length = (text: Buffer) => Buffer.of(0, 0, text.length >> 8, text.length & 0xff)
  return Buffer.concat([Buffer.of(0x10 | parts.length), ...texts.flatMap((text) => [length(text), text])])
}

describe('a connection to the daemon of pm2', () => {
  it('takes each answer for its own call, in any order and in pieces of any size', async () => {
    const { client, socket, asked } = await startDaemon()
    const question = asked()
    const [one, two] = [client.call('msgProcess', { id: 0 }), client.call('msgProcess', { id: 1 })]
    expect(await question).toContain('{"type":"call","method":"msgProcess","args":[{"id":0}]}')
    two.catch(() => undefined)
    const answers = Buffer.concat([frame('j:{"error":"not here"}', 's:2'), frame('j:{"args":[{}]}', 's:1')])
    socket.setNoDelay(true)
    for (const byte of answers) {
      socket.write(Buffer.of(byte))
      await new Promise(setImmediate)
    }
    await one
    await expect(two).rejects.toThrow('pm2 refuses: "not here"')
  })

  it.each([
    ['an answer that is too long', Buffer.of(0x12, 0xff, 0xff, 0xff, 0xff)],
    ['an answer that is no JSON', frame('j:{', 's:1')],
    ['an answer without parts', Buffer.of(0x10)],
  ])('gives up at %s', async (_, answer) => {
    const { client, socket, asked, lost } = await startDaemon()
    const question = asked()
    const call = client.call('msgProcess', {})
    const failure = expect(call).rejects.toThrow()
    await question
    socket.write(answer)
    await failure
    expect(lost()).toBe(1)
    await expect(client.call('msgProcess', {})).rejects.toThrow('The connection to pm2 is closed.')
  })

  it('fails where no daemon listens', async () => {
    const lost = createGate()
    const client = new Pm2Daemon(join(tmpdir(), 'wsb-nobody.sock'), lost.open)
    await expect(client.call('msgProcess', {})).rejects.toMatchObject({ code: 'ENOENT' })
    await lost.wait()
  })
})
