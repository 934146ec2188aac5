import { MemoryStore, type Store } from 'express-session'
import { describe, expect, it } from 'vitest'
import { open } from '../support/client.js'
import { startApp } from '../support/app.js'
import { createHub, type Hub } from './memory-channel.js'

/** A store that several processes share. This one's calls are its own, as the records are all that they have in common. */
function storeOn(sessions: object): Store {
  const store = new MemoryStore()
  Object.assign(store, { sessions })
  return store
}

async function startProcesses(count: number, hub: Hub, revalidateMs = 60_000) {
  const sessions = Object.create(null) as object
  const starts = Array.from({ length: count }, () => {
    const { channel, member, gap } = hub.connect()
    return startApp({ store: storeOn(sessions), bridge: { channel, revalidateMs } }).then((app) => ({
      ...app,
      channel,
      member,
      gap,
    }))
  })
  return await Promise.all(starts)
}

describe('bridges with a channel, on a store that tells nothing', () => {
  it('change and end their sockets when another process does', async () => {
    const hub = createHub()
    const [one, two] = await startProcesses(2, hub)
    const cookie = await one!.login('ada')
    const { ws, closed } = await open(two!.wsUrl, { cookie })
    const changed = new Promise((resolve) => two!.bridge.once('change', ({ session }) => resolve(session)))
    await one!.call('POST', '/set?key=role&value=admin', cookie)
    expect(await changed).toMatchObject({ user: 'ada', role: 'admin' })
    await one!.call('POST', '/logout', cookie)
    expect(await closed).toMatchObject({ code: 4401 })
    expect(ws.readyState).toBe(ws.CLOSED)
    expect(one!.faults).toEqual([])
  })

  it('look at everything after a gap', async () => {
    const hub = createHub()
    const [one, two] = await startProcesses(2, hub)
    const cookie = await one!.login('ada')
    const { closed } = await open(two!.wsUrl, { cookie })
    two!.member.isCut = true
    await one!.call('POST', '/logout', cookie)
    two!.member.isCut = false
    two!.gap()
    expect(await closed).toMatchObject({ code: 4401 })
  })

  it('tell in the words of the channel why it is late, where it has a deadline of its own', async () => {
    const { channel } = createHub().connect(100)
    const late = new Error('The primary passes nothing on.')
    const publish = (): Promise<never> => new Promise((_resolve, reject) => setTimeout(reject, 100, late))
    const app = await startApp({ bridge: { channel: { ...channel, publish } } })
    await app.login('ada')
    await expect.poll(() => app.faults, { timeout: 5_000 }).toHaveLength(1)
    expect(app.faults[0]).toMatchObject({ cause: late })
  })

  it('find by revalidation what was told while the channel was down', async () => {
    const hub = createHub()
    const [one, two] = await startProcesses(2, hub, 200)
    const [staying, leaving] = [await one!.login('ada'), await one!.login('grace')]
    await open(two!.wsUrl, { cookie: staying })
    const { closed } = await open(two!.wsUrl, { cookie: leaving })
    const changed = new Promise((resolve) => two!.bridge.once('change', ({ session }) => resolve(session)))
    two!.member.isCut = true
    await one!.call('POST', '/set?key=role&value=admin', staying)
    await one!.call('POST', '/logout', leaving)
    expect(await changed).toMatchObject({ user: 'ada', role: 'admin' })
    expect(await closed).toMatchObject({ code: 4401 })
  })

  it('tell of junk by a fault, and are not disturbed', async () => {
    const hub = createHub()
    const [one] = await startProcesses(1, hub)
    for (let count = 0; count < 100; count += 1) hub.say('junk')
    await expect.poll(() => one!.faults.length).toBe(1)
    expect(String(one!.faults[0])).toContain('A message on the channel is dropped')
  })

  it('close the channel with the bridge', async () => {
    const hub = createHub()
    const [one] = await startProcesses(1, hub)
    await one!.bridge.close()
    await expect(one!.channel.publish('late')).rejects.toThrow()
  })

  it('write no session ID to the channel', async () => {
    const hub = createHub()
    const [one, two] = await startProcesses(2, hub)
    const cookie = await one!.login('ada')
    const { closed } = await open(two!.wsUrl, { cookie })
    await one!.call('POST', '/set?key=role&value=admin', cookie)
    const sessionID = one!.bridge.readSessionID(cookie)!
    await one!.bridge.destroy(sessionID)
    await closed
    expect(hub.traffic.length).toBeGreaterThan(2)
    expect(hub.traffic.join('\n')).not.toContain(sessionID)
  })

  it('throw a TypeError for what is no channel', async () => {
    await expect(startApp({ bridge: { channel: {} as never } })).rejects.toThrow(
      /Option `channel` has no method `publish`/,
    )
  })
})
