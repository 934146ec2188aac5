/*
 * Stops Redis for five seconds, as a failover or a long disk write does, and records what handshakes get meanwhile.
 */
import { setTimeout as pause } from 'node:timers/promises'

import type { SessionBridge, SessionContext } from 'ws-session-bridge'

import type { OutageProbe } from './messages.js'
import type { UpgradeProbe } from './upgrade-probe.js'

export const outageMs = 5_000

const probeEveryMs = 500
/** It is over when so many in a row were let in after it, or when this much time has passed. */
const enoughGood = 3
const longestMs = 20_000

/** Tells of all probes up to now. */
export type OnProbes = (probes: readonly OutageProbe[], over: boolean) => void

/** Stops Redis, one time at a time. */
export class Outage {
  readonly #bridge: SessionBridge
  readonly #probe: UpgradeProbe
  readonly #stopRedis: (ms: number) => void
  #isOn = false

  constructor(bridge: SessionBridge, probe: UpgradeProbe, stopRedis: (ms: number) => void) {
    this.#bridge = bridge
    this.#probe = probe
    this.#stopRedis = stopRedis
  }

  /** Each probe is a handshake with the cookie of whoever has started it: a good one, so a 503 has no other reason. */
  start({ sessionID, signal }: SessionContext, tell: OnProbes): void {
    if (this.#isOn) return
    this.#isOn = true
    this.#watch(this.#bridge.signedCookie(sessionID), tell, signal)
      .catch(() => undefined)
      .finally(() => (this.#isOn = false))
  }

  async #watch(cookie: string, tell: OnProbes, signal: AbortSignal): Promise<void> {
    const startedAt = performance.now()
    const probes: OutageProbe[] = []
    const underWay = new Set<Promise<void>>()
    const probe = async (afterMs: number): Promise<void> => {
      const { status, reason, tookMs, close } = await this.#probe.send({ cookie })
      close()
      probes.push({ afterMs, status, reason, tookMs })
      probes.sort((one, other) => one.afterMs - other.afterMs)
      tell(probes, false)
    }
    const isOver = (): boolean => {
      const after = probes.filter(({ afterMs }) => afterMs > outageMs)
      return after.slice(-enoughGood).filter(({ status }) => status === 101).length === enoughGood
    }

    await probe(0)
    this.#stopRedis(outageMs)
    for (let afterMs = 0; !isOver() && afterMs < longestMs; afterMs = Math.round(performance.now() - startedAt)) {
      await pause(probeEveryMs, undefined, { signal })
      const one = probe(Math.round(performance.now() - startedAt))
      underWay.add(one)
      void one.finally(() => underWay.delete(one))
    }
    await Promise.all(underWay)
    tell(probes, true)
  }
}
