import { EventEmitter } from 'node:events'
import { describe, expect, it, vi } from 'vitest'
import { Connection } from '../../src/socket.io/connection.js'
import type { EngineSocket } from '../../src/socket.io/internals.js'

function open() {
  const ws = { readyState: 1, pause: vi.fn(), resume: vi.fn(), terminate: vi.fn(), once: vi.fn() }
  const conn = Object.assign(new EventEmitter(), {
    request: null,
    readyState: 'open',
    transport: { name: 'websocket', socket: ws },
    close: vi.fn(),
  }) as unknown as EngineSocket
  const connection = new Connection(conn, undefined)
  const heard: unknown[] = []
  conn.on('data', (data) => heard.push(data))
  return { ws, conn, connection, heard }
}

describe('a connection of Socket.IO whose session is in doubt', () => {
  it('delivers its messages after the release, in order, and is not read until then', () => {
    const { ws, conn, connection, heard } = open()
    conn.emit('data', 1)
    connection.hold()
    conn.emit('data', 2)
    conn.emit('data', 3)
    expect(heard).toEqual([1])
    expect(ws.pause).toHaveBeenCalledOnce()
    expect(ws.resume).not.toHaveBeenCalled()
    connection.release()
    conn.emit('data', 4)
    expect(heard).toEqual([1, 2, 3, 4])
    expect(ws.resume).toHaveBeenCalledOnce()
  })

  it('delivers none of the messages that were held once it has ended', () => {
    const { conn, connection, heard } = open()
    connection.hold()
    conn.emit('data', 1)
    connection.drop()
    connection.release()
    conn.emit('data', 2)
    expect(heard).toEqual([])
  })

  it('keeps back the rest where one of the messages brings the session into doubt again', () => {
    const { ws, conn, connection, heard } = open()
    conn.once('data', () => connection.hold())
    connection.hold()
    conn.emit('data', 1)
    conn.emit('data', 2)
    connection.release()
    expect(heard).toEqual([1])
    expect(ws.resume).not.toHaveBeenCalled()
    connection.release()
    expect(heard).toEqual([1, 2])
  })

  it('goes on hearing pings and the close while its messages are held', () => {
    const { conn, connection } = open()
    const heard = vi.fn()
    conn.on('heartbeat', heard).on('close', heard)
    connection.hold()
    conn.emit('heartbeat')
    conn.emit('close')
    expect(heard).toHaveBeenCalledTimes(2)
  })

  it('is cut when its client, which polls, sends a thousand messages meanwhile', () => {
    const { ws, conn, connection } = open()
    connection.hold()
    for (let sent = 0; sent < 1_001; sent += 1) conn.emit('data', sent)
    expect(ws.terminate).toHaveBeenCalled()
  })
})
