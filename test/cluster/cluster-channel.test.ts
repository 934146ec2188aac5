// This process is the primary.
import cluster, { type Worker } from 'node:cluster'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { clusterChannel } from 'ws-session-bridge/cluster'
import { describeChannel, opened } from '../channel/channel-suite.js'
import { atEnd } from '../support/at-end.js'
import { compiled } from '../support/forked.js'
import type { Heard, Order } from './member.js'

beforeAll(() => {
  cluster.setupPrimary({ exec: join(compiled('test/cluster'), 'test/cluster/member.js'), execArgv: [] })
})

async function startWorker(env: Readonly<Record<string, string>> = {}) {
  const worker: Worker = cluster.fork(env)
  atEnd(() => worker.process.kill('SIGKILL'))
  const all: Heard[] = []
  worker.on('message', (heard: Heard) => {
    if ('heard' in heard) all.push(heard)
  })
  // What is sent before it listens is lost.
  await expect.poll(() => all.length, { timeout: 20_000 }).toBe(1)
  const messages = () => all.flatMap((heard) => (heard.heard === 'message' ? [heard.message] : []))
  return {
    worker,
    all,
    messages,
    tell: (order: Order) => worker.send(order),
    count: (kind: Heard['heard']) => all.filter(({ heard }) => heard === kind).length,
    heard: (message: string) => expect.poll(messages, { timeout: 20_000 }).toContain(message),
    until: (kind: Heard['heard'], times = 1) =>
      expect
        .poll(() => all.filter(({ heard }) => heard === kind).length, { timeout: 20_000 })
        .toBeGreaterThanOrEqual(times),
  }
}

describe('clusterChannel', () => {
  it('rejects in a worker whose primary passes nothing on, and goes on as soon as it does', async () => {
    const [one, two] = await Promise.all([startWorker(), startWorker()])
    two.tell({ order: 'open' })
    one.tell({ order: 'publish', message: 'lost', timeoutMs: 200 })
    await one.until('failed')
    expect(one.all).toContainEqual({
      heard: 'failed',
      code: 'CHANNEL_UNAVAILABLE',
      message: 'The primary passes no messages on, or not in time: it has to call clusterChannel.relay().',
    })
    expect(two.count('gap')).toBe(0)
    clusterChannel.relay()
    clusterChannel.relay()
    await two.until('gap')
    one.tell({ order: 'publish', message: 'hello' })
    await two.heard('hello')
    await one.until('published')
  }, 30_000)

  it('tells all workers and the primary what one of them says, once, under its name alone', async () => {
    const workers = await Promise.all([startWorker(), startWorker(), startWorker()])
    const primary = await opened(clusterChannel())
    for (const worker of workers) worker.tell({ order: 'open' })
    for (const worker of workers) await worker.until('gap')
    workers[2].tell({ order: 'open', name: 'another' })
    await workers[2].until('gap', 2)
    const large = '🌍'.repeat(100_000)
    for (const message of ['from a worker', large]) workers[0].tell({ order: 'publish', message })
    await primary.channel.publish('from the primary')
    for (const { heard } of [...workers, primary]) {
      for (const message of ['from a worker', large]) await heard(message)
    }
    for (const worker of workers) await worker.heard('from the primary')
    await workers[0].until('published', 2)
    for (const { messages } of workers) expect(new Set(messages()).size).toBe(messages().length)
    workers[0].tell({ order: 'publish', message: 'elsewhere', name: 'another' })
    await workers[2].heard('elsewhere')
    expect([workers[1].messages(), primary.messages].flat()).not.toContain('elsewhere')
  }, 30_000)

  it('goes by its primary where the names of pm2 are inherited from a process around it', async () => {
    const home = await mkdtemp(join(tmpdir(), 'wsb-pm2-home-'))
    atEnd(() => rm(home, { recursive: true }))
    await writeFile(join(home, 'pm2.pid'), String(process.ppid))
    const primary = await opened(clusterChannel())
    for (const PM2_HOME of [home, join(home, 'none')]) {
      const worker = await startWorker({ exec_mode: 'cluster_mode', pm_id: '0', name: 'app', PM2_HOME })
      worker.tell({ order: 'publish', message: PM2_HOME })
      await worker.until('published')
      await primary.heard(PM2_HOME)
    }
  }, 30_000)

  it('lets a worker exit when it leaves the cluster', async () => {
    const one = await startWorker()
    one.tell({ order: 'open' })
    await one.until('gap')
    const exit = once(one.worker, 'exit')
    one.tell({ order: 'idle' })
    one.worker.disconnect()
    expect(await exit).toEqual([0, null])
  }, 30_000)

  it('says that messages were missed to a worker that was stopped, and keeps only some of them', async () => {
    const [one, primary] = [await startWorker(), await opened(clusterChannel())]
    one.tell({ order: 'open' })
    await one.until('gap')
    one.worker.process.kill('SIGSTOP')
    for (let count = 0; count < 5_000; count += 1) await primary.channel.publish(`${'x'.repeat(2_000)} ${count}`)
    one.worker.process.kill('SIGCONT')
    await one.until('gap', 2)
    expect(one.messages().length).toBeLessThan(5_000)
    await primary.channel.publish('back')
    await one.heard('back')
  }, 60_000)

  it('is silent when it is closed, and throws a TypeError for a second listener or a wrong option', async () => {
    const one = await opened(clusterChannel())
    const two = await opened(clusterChannel())
    await one.channel.close()
    await one.channel.close()
    await two.channel.publish('hello')
    await two.heard('hello')
    expect(one.messages).toEqual([])
    await expect(one.channel.publish('late')).rejects.toMatchObject({ code: 'CHANNEL_UNAVAILABLE' })
    expect(() => {
      two.channel.subscribe(
        () => undefined,
        () => undefined,
      )
    }).toThrow(TypeError)
    for (const options of [{ name: '' }, { timeoutMs: 0 }, { nam: 'x' }]) {
      expect(() => clusterChannel(options)).toThrow(TypeError)
    }
  })
})

// Last: the first test is of a primary that has made none.
describeChannel('clusterChannel in the primary', () => {
  const name = `test ${randomUUID()}`
  return { connect: () => clusterChannel({ name }), connectElsewhere: () => clusterChannel({ name: `${name} 2` }) }
})
