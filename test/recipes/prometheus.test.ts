// figures that Prometheus can read.
import { describe, expect, it } from 'vitest'
import { startTestBridge } from '../testing/test-bridge.js'
import { prometheusText } from './prometheus.js'

describe('figures for Prometheus', () => {
  it('say what stats() says', async () => {
    const { cookie, upgrade, end, bridge } = await startTestBridge()
    const ada = cookie({ user: 'Ada' })
    await upgrade(ada)
    await upgrade(cookie({ user: 'Grace' }))
    await upgrade()
    await end(ada)
    const samples = prometheusText(bridge.stats()).split('\n')
    expect(samples).toEqual(
      expect.arrayContaining([
        'ws_session_bridge_sockets 1',
        'ws_session_bridge_accepted_total 2',
        'ws_session_bridge_refused_total{reason="no-cookie"} 1',
        'ws_session_bridge_refused_total{reason="bad-signature"} 0',
        'ws_session_bridge_ended_total{reason="destroyed"} 1',
      ]),
    )
  })

  it('are well formed: each line a comment or a sample, each metric with its type, and a line feed at the end', async () => {
    const { bridge } = await startTestBridge()
    const text = prometheusText(bridge.stats())
    expect(text).toMatch(/\n$/)
    let type = ''
    for (const line of text.trimEnd().split('\n')) {
      type = /^# TYPE (\w+) (?:gauge|counter)$/.exec(line)?.[1] ?? type
      if (line.startsWith('#')) expect(line).toMatch(/^# (HELP \w+ .+|TYPE \w+ (gauge|counter))$/)
      else expect(/^(\w+)(?:\{reason="[a-z-]+"\})? \d+$/.exec(line)?.[1]).toBe(type)
    }
  })
})
