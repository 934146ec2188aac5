import { describe, expect, it, vi } from 'vitest'
import { InvalidationThrottle } from '../../src/redis/invalidation-throttle.js'
import { atEnd } from '../support/at-end.js'

function startThrottle() {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  atEnd(() => vi.useRealTimers())
  const reports: string[] = []
  const throttle = new InvalidationThrottle((sessionID) => reports.push(sessionID))
  atEnd(() => {
    throttle.close()
  })
  for (const id of ['busy', 'quiet']) throttle.watch(id)
  const announce = (sessionID: string, times: number) => {
    for (let time = 0; time < times; time += 1) throttle.announce(sessionID)
  }
  return { throttle, reports, announce }
}

const of = (reports: readonly string[], sessionID: string) => reports.filter((each) => each === sessionID).length

describe('the throttle of announcements', () => {
  it('reports at once what a session announces while another one is announced without end', () => {
    const { throttle, reports, announce } = startThrottle()
    announce('busy', 2_000)
    throttle.announce('quiet')
    expect(of(reports, 'quiet')).toBe(1)
    announce('busy', 2_000)
    vi.advanceTimersByTime(250)
    throttle.announce('quiet')
    expect(of(reports, 'quiet')).toBe(2)
  })

  it('reports a session whose announcements tell of no change every half second at most, and none of them is lost', () => {
    const { reports, announce } = startThrottle()
    announce('busy', 100)
    expect(reports).toHaveLength(5)
    vi.advanceTimersByTime(500)
    expect(reports).toHaveLength(6)
    vi.advanceTimersByTime(5_000)
    expect(reports).toHaveLength(6)
  })

  it('reports every announcement at once of a session that has changed each time', () => {
    const { throttle, reports } = startThrottle()
    for (let time = 0; time < 100; time += 1) {
      throttle.announce('busy')
      throttle.giveBack('busy')
    }
    expect(reports).toHaveLength(100)
  })

  it('gives no more tokens back than were taken', () => {
    const { throttle, reports, announce } = startThrottle()
    for (let time = 0; time < 100; time += 1) throttle.giveBack('busy')
    announce('busy', 100)
    expect(reports).toHaveLength(5)
  })

  it.each(['before', 'after'])(
    'takes no token for a write of its own that was expected %s it was announced',
    (when) => {
      const { throttle, reports, announce } = startThrottle()
      for (let time = 0; time < 20; time += 1) {
        if (when === 'before') throttle.expectOwnWrite('busy')
        throttle.announce('busy')
        if (when === 'after') throttle.expectOwnWrite('busy')
      }
      expect(reports).toHaveLength(20)
      announce('busy', 100)
      expect(reports).toHaveLength(25)
    },
  )

  it('keeps quiet about the announcement of an own write, and only about that', () => {
    const { throttle, reports } = startThrottle()
    const end = throttle.beginOwnWrite('busy')
    throttle.announce('busy')
    expect(reports).toEqual([])
    throttle.announce('busy')
    expect(reports).toEqual(['busy'])
    end(true)
  })

  it('reports what was announced during an own write that was not done', () => {
    const { throttle, reports } = startThrottle()
    const end = throttle.beginOwnWrite('busy')
    throttle.announce('busy')
    end(false)
    expect(reports).toEqual(['busy'])
  })

  it('expects no announcement of a write to what was announced and not read since', () => {
    const { throttle, reports } = startThrottle()
    throttle.announce('busy')
    throttle.beginOwnWrite('busy')
    throttle.announce('busy')
    expect(reports).toHaveLength(2)
    throttle.wasRead('busy')
    throttle.beginOwnWrite('busy')(true)
    throttle.announce('busy')
    expect(reports).toHaveLength(3)
  })

  it('forgives an announcement each second', () => {
    const { reports, announce } = startThrottle()
    announce('busy', 5)
    vi.advanceTimersByTime(2_000)
    announce('busy', 3)
    expect(reports).toHaveLength(7)
  })

  it('says nothing of a session that is no longer watched, held back or not', () => {
    const { throttle, reports, announce } = startThrottle()
    announce('busy', 10)
    throttle.unwatch('busy')
    announce('busy', 1)
    throttle.missed('busy')
    vi.advanceTimersByTime(1_000)
    expect(reports).toHaveLength(5)
  })
})
