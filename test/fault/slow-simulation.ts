// what was wrong in some minutes in which everything happens at once.
import type { SessionData } from 'express-session'
import { vi } from 'vitest'
import type { SessionContext } from 'ws-session-bridge'
import { record, type PlainConnection } from '../live/bound.js'
import { checkClosed, checkOpen, checkRest } from './slow-invariants.js'
import { deadlineMs, World, type Member } from './slow-world.js'

type Act = (world: World, id: string) => void

/** What happens, and how often. */
const acts: [weight: number, act: Act][] = [
  [14, (world, id) => world.run(world.bind(id), id)],
  [14, (world, id) => world.run(world.upgrade(id), id)],
  [14, (world, id) => world.run(world.update(id), id)],
  [6, (world, id) => world.run(world.load(id), id)],
  [6, (world) => world.ids.length < 8 && world.run(world.lastMinute(), `session ${world.logins - 1}`)],
  [4, (world) => oneOf(world, (member) => world.run(member.context.refresh(), member.id))],
  [4, (world) => oneOf(world, (member) => world.run(member.context.touch(), member.id))],
  [16, (world) => oneOf(world, ({ context }) => messageOf(context))],
  [8, (world) => oneOf(world, (member) => member.leave())],
  [4, (world) => world.bridge.check()],
  [4, (world, id) => world.bridge.check(id)],
  [6, (world) => world.ids.length < 6 && world.logIn()],
  // Signed out by the bridge, by the app's own store, by a context.
  [2, (world, id) => world.signOut(id, () => world.run(world.bridge.destroy(id), id))],
  [2, (world, id) => world.signOut(id, () => world.store.destroy(id, () => undefined))],
  [1, (world) => oneOf(world, ({ id, context }) => world.signOut(id, () => world.run(context.destroy(), id)))],
  // The app touches, as it does with every request.
  [
    6,
    (world, id) => {
      const row = world.database.read(id)
      if (row)
        world.store.touch(
          id,
          { ...(JSON.parse(row.json) as SessionData), cookie: record({}, world.weather.maxAgeMs).cookie },
          () => undefined,
        )
    },
  ],
  [
    1,
    (world, id) => {
      world.disconnected.add(id)
      world.bridge.disconnect(id)
    },
  ],
  [2, (world) => oneOf(world, ({ context }) => context.user !== undefined && world.disconnectUser(context.user))],
  // `authorize` changes its mind.
  [3, (world, id) => world.suspend(id)],
  [3, (world, id) => world.suspended.delete(id)],
  [2, (world) => world.bridge.reauthorize()],
  // Other processes.
  [8, (world, id) => world.weather.others && world.run(world.collide(id), id)],
  [
    6,
    (world, id) =>
      world.weather.others && world.elsewhere(id, (changed) => (changed.user = String(world.random.below(3)))),
  ],
  [4, (world, id) => world.weather.others && world.setRole(id, world.random.share() < 0.5 ? 'banned' : 'member')],
  [3, (world, id) => world.weather.others && world.database.destroy(id, 'other')],
  [4, (world, id) => world.weather.others && world.database.touch(id, Date.now() + world.weather.maxAgeMs)],
  // What cannot be helped.
  [1, (world) => world.weather.outages && !world.way.isAway && world.goAway()],
  [0.5, (world) => world.comeBack()],
  [
    2,
    (world) =>
      world.weather.jumps &&
      vi.setSystemTime(Date.now() + world.random.one([10_000, 3_600_000]) * (2 * world.random.share() - 1)),
  ],
]
const weights = acts.reduce((sum, [weight]) => sum + weight, 0)

function oneOf(world: World, act: (member: Member) => void): void {
  if (world.open.length > 0) act(world.random.one(world.open))
}

function messageOf(context: SessionContext): void {
  if (context.ws === undefined) (context as unknown as { connection: PlainConnection }).connection.message()
  else context.ws.emit('message', Buffer.from('hello'), false)
}

/** Says what was wrong: three times as many acts as they come, with a rest after each, but not always before the end. */
export async function simulate(seed: number, pass: (ms: number, stepMs?: number) => Promise<void>): Promise<string[]> {
  const world = new World(seed)
  const { random, weather, wrong } = world
  vi.spyOn(Math, 'random').mockImplementation(() => random.share())
  const step = async (ms: number): Promise<void> => {
    await pass(ms, 100)
    checkOpen(world)
  }
  for (const phase of [0, 1, 2]) {
    const restless = random.one([50, 400, 2_500])
    for (let left = random.below(60); left > 0; left -= 1) {
      const { ids } = world
      // Clients also come with the cookie of a session that is over, or is still to come.
      const id = random.share() < 0.05 || ids.length === 0 ? `session ${random.below(6)}` : random.one(ids)
      let at = random.share() * weights
      acts.find(([weight]) => (at -= weight) < 0)![1](world, id)
      await step(random.below(restless))
    }
    if (phase === 2 && random.share() < 0.5) break
    world.comeBack()
    for (let passed = 0; passed < weather.revalidateMs + 8 * deadlineMs; passed += 1_000) await step(1_000)
    checkRest(world)
  }
  await closed(world, pass)
  checkClosed(world)
  return wrong.map((what) => `${what} ${JSON.stringify(weather)}`)
}

async function closed(world: World, pass: (ms: number) => Promise<void>): Promise<void> {
  const closing = { isDone: false }
  world.isClosing = true
  void world.bridge.close().then(() => (closing.isDone = true))
  while (!closing.isDone) await pass(1_000)
  world.comeBack()
  await pass(2 * deadlineMs)
}
