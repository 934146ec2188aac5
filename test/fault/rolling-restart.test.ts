import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { MemoryStore } from 'express-session'
import { beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { createSessionBridge } from 'ws-session-bridge'
import { atEnd } from '../support/at-end.js'
import { compiled, forked } from '../support/forked.js'
import { startBalancer } from '../support/haproxy.js'
import { createRandom } from '../support/random.js'
import { freePort } from '../support/redis-server.js'
import { redisUrl, startRedisStore } from '../support/redis.js'
import { scaled, seedOf } from '../support/soak.js'
import { recordOf } from '../store/live-store-suite.js'
import { until } from '../live/bound.js'
import type { Farewell, Place } from './balanced-node.js'
import { ComingBack } from './comes-back.js'

const clients = 500
const restarts = scaled(1, 12)
const timeout = 240_000 + restarts * 60_000
/** Fewer at each of many restarts, or none would be left to come back. */
const loggedOutOnTheWay = scaled(20, 5)
const logoutPauseMs = scaled(300, 3_000)
const secret = 'a secret'

let script: string
beforeAll(() => {
  script = join(compiled('test/fault', 'test/recipes', 'test/support'), 'test/fault/balanced-node.js')
})

async function startNode(place: Place): Promise<ChildProcess> {
  return (await forked(script, place)).process
}

/** As a deployment ends a process. Resolves to its last words, and when it is gone by itself. */
async function restart(node: ChildProcess): Promise<Farewell> {
  const gone = once(node, 'exit')
  const farewell = once(node, 'message') as Promise<[Farewell]>
  node.kill('SIGTERM')
  const [words] = await farewell
  expect(await gone).toEqual([0, null])
  return words
}

function isBack({ node, final }: ComingBack): boolean {
  return node !== undefined || final !== undefined
}

describe(`a rolling restart under the traffic of ${clients} clients`, () => {
  it('brings each of them back within its pause, and none whose session is gone', { timeout }, async () => {
    const random = createRandom(seedOf('RESTART_SEED'))
    const redis = await startRedisStore()
    const places = await Promise.all(
      ['one', 'two'].map(async (name) => ({
        name,
        port: await freePort(),
        url: redisUrl(),
        prefix: redis.prefix,
        secret,
      })),
    )
    const [one, two] = places as [Place, Place]
    const nodes = [await startNode(one), await startNode(two)]
    // A node that is slow to answer a check is no node that is going.
    const patient = (config: string) => config.replace('timeout connect 5s', '$&\n  timeout check 10s')
    const { host, ca } = await startBalancer([one.port, two.port], patient)
    const address = { url: `wss://${host}/`, origin: `https://${host}`, ca, random }
    const signer = createSessionBridge({ session: { store: new MemoryStore(), secret } })

    const keyOf = (index: number) => `${redis.prefix}id${index}`
    const expiration = { type: 'EX', value: 3_600 } as const
    for (let index = 0; index < clients; index += 1) {
      await redis.client.set(keyOf(index), JSON.stringify(recordOf({ user: `user ${index}` }, 3_600_000)), {
        expiration,
      })
    }
    const all: ComingBack[] = []
    atEnd(() => {
      for (const client of all) client.close()
    })
    for (let index = 0; index < clients; index += 1) {
      const cookie = signer.signedCookie(`id${index}`)
      all.push(new ComingBack({ ...address, cookie }))
      if (index % 50 === 49) await until(() => all.every(({ node }) => node !== undefined))
    }
    const talking = setInterval(() => {
      for (const client of all) if (random.share() < 0.05) client.say('hello')
    }, 50)
    atEnd(() => clearInterval(talking))

    // Others come and go all the time: they are the ones that a node refuses if it goes before the balancer knows.
    const visitors: ComingBack[] = []
    await redis.client.set(`${redis.prefix}visitor`, JSON.stringify(recordOf({ user: 'visitor' }, 3_600_000)), {
      expiration,
    })
    const visiting = setInterval(() => {
      visitors.push(new ComingBack({ ...address, cookie: signer.signedCookie('visitor') }))
      visitors.at(-50)?.close()
    }, 20)
    atEnd(() => {
      clearInterval(visiting)
      for (const visitor of visitors) visitor.close()
    })

    // And some are stuck and answer no close frame, so that it takes its time until the node has closed.
    const stuck = Array.from({ length: 6 }, () => {
      const headers = { origin: address.origin, cookie: signer.signedCookie('visitor') }
      return new WebSocket(address.url, { headers, ca }).on('open', function () {
        this.pause()
      })
    })
    await Promise.all(stuck.map((ws) => once(ws, 'open')))
    atEnd(() => {
      for (const ws of stuck) ws.terminate()
    })

    const loggedOut = new Set<ComingBack>()
    const logOut = async (client: ComingBack) => {
      await redis.client.del(keyOf(all.indexOf(client)))
      loggedOut.add(client)
    }
    let isOver = false as boolean
    const loggingOut = (async () => {
      while (!isOver) {
        await pause(random.below(logoutPauseMs))
        await logOut(random.one(all))
      }
    })()
    /* Of those that are on their way from one node to the other. */
    const logOutInBetween = async (count: number) => {
      await until(() => all.filter((client) => !isBack(client)).length >= count)
      for (const client of all.filter((one) => !isBack(one)).slice(0, count)) await logOut(client)
    }

    const farewells: Farewell[] = []
    let restartedUnder = 0
    for (let round = 0; round < restarts; round += 1) {
      const at = round % 2
      const { name } = places[at]!
      const before = all.filter(({ node }) => node === name).length
      expect(before).toBeGreaterThan(0)
      restartedUnder += before
      const restarted = restart(nodes[at]!)
      await logOutInBetween(loggedOutOnTheWay)
      farewells.push(await restarted)
      await until(() => all.every(isBack))
      expect(all.filter(({ node }) => node === name)).toEqual([])
      nodes[at] = await startNode(places[at]!)
      // The balancer sends the next ones there again: a new tab, which takes the place of one that has logged out or not.
      await pause(1_500)
      for (let index = 0; index < clients / 4; index += 1) {
        const client = all[index]!
        if (client.final === undefined) client.reconnect()
      }
      await until(() => all.every(isBack))
    }
    isOver = true
    clearInterval(visiting)
    await loggingOut
    await until(() => [...loggedOut].every(({ final }) => final !== undefined))

    // None that should be there is not, and none is there that should not.
    const there = all.filter((client) => !loggedOut.has(client))
    expect(there.filter(({ node }) => node === undefined)).toEqual([])
    expect([...loggedOut].filter(({ node }) => node !== undefined)).toEqual([])
    expect([...all, ...visitors].flatMap(({ refusals }) => refusals)).toEqual([])
    expect(new Set([...loggedOut].map(({ final }) => final))).toEqual(new Set([4401, 401]))
    // Only the restarts have cut a client off, and the first attempt after the pause was let in. A client that has no time to
    // answer the close frame within a second is cut off as the stuck ones are, and may see 1006 then.
    const lost = all.flatMap((client) => client.lost)
    const told = lost.filter((code) => code === 1001)
    expect(lost.length).toBeLessThanOrEqual(restartedUnder)
    expect(told.length).toBeGreaterThan(lost.length / 2)
    expect(lost.filter((code) => code !== 1001 && code !== 1006)).toEqual([])
    const returns = all.flatMap((client) => client.returns)
    expect(returns.length).toBeGreaterThan((clients / 4) * restarts)
    expect(new Set(returns.map(({ attempts }) => attempts))).toEqual(new Set([1]))
    for (const [index, client] of all.entries()) expect([`user ${index}`, undefined]).toContain(client.user)
    // The same session: what is written now reaches every socket where it is.
    const answers = there.map((client) => client.answers)
    for (const client of there) client.say('still here?')
    await until(() => there.every((client, index) => client.answers > answers[index]!))

    for (const farewell of farewells) {
      expect(farewell.faults).toBe(0)
      const { 'no-session': gone, ...others } = farewell.refused
      expect(gone).toBeLessThanOrEqual(loggedOut.size)
      expect(Object.values(others).every((count) => count === 0)).toBe(true)
      expect(farewell.ended.shutdown).toBeGreaterThan(0)
    }
    // Its pause is what a client waits for. What comes on top are 500 handshakes at once, TLS included.
    const over = returns.map(({ overMs }) => overMs).sort((a, b) => a - b)
    expect(over.at(-1)).toBeLessThan(20_000)
    const atShare = (share: number) => over[Math.floor((over.length - 1) * share)]!.toFixed(0)
    console.log(
      `${restarts} restarts, ${clients} clients: ${returns.length} came back, all at the first attempt, ${lost.length - told.length} without a close frame, ` +
        `p50 ${atShare(0.5)}, p99 ${atShare(0.99)}, max ${atShare(1)} ms after their pause; ${loggedOut.size} logged out, ${visitors.length} visitors`,
    )
    await Promise.all(nodes.map(restart))
  })
})
