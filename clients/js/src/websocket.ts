// A session over one WebSocket: frames both ways. Refuses to come back by itself.

import type { ServerFrame } from "./frames.js";
import type { Attempt, Link, Transport } from "./transport.js";

/** What of `WebSocket` is used: the browser's, Node's, or that of a package. */
export interface WebSocketLike {
  readyState: number;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  send(text: string): void;
  close(): void;
}

export type WebSocketConstructor = new (url: string) => WebSocketLike;

const OPEN = 1;

export function websocket(given?: WebSocketConstructor): Transport {
  const found = given ?? (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;
  const open = (base: string): WebSocketLike => {
    const url = new URL("ws", base);
    url.protocol = url.protocol.replace("http", "ws");
    return new found!(url.href);
  };

  function connect({ base, hello, frame, lost }: Attempt): Link {
    const socket = open(base);
    const say = (said: unknown): void => {
      if (socket.readyState === OPEN) socket.send(JSON.stringify(said));
    };
    socket.onopen = () => say(hello);
    socket.onmessage = ({ data }) => {
      const said = parse(data);
      if (said) frame(said);
    };
    socket.onclose = ({ code, reason }) => lost({ code, reason });
    socket.onerror = () => {};
    return { say, drop: () => forget(socket) };
  }

  /** A guest's ping: it says that bytes go there and come back, and nobody else sees it. */
  function probe(base: string, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = open(base);
      const end = (works: boolean): void => {
        forget(socket);
        resolve(works);
      };
      socket.onopen = () => socket.send('{"type":"ping"}');
      socket.onmessage = ({ data }) => end(parse(data)?.type === "pong");
      socket.onclose = socket.onerror = () => end(false);
      signal.addEventListener("abort", () => end(false));
    });
  }

  return { is_there: () => found !== undefined, connect, probe };
}

function forget(socket: WebSocketLike): void {
  socket.onopen = socket.onmessage = socket.onclose = null;
  socket.onerror = () => {};
  socket.close();
}

function parse(data: unknown): ServerFrame | undefined {
  try {
    return JSON.parse(data as string);
  } catch {
    return undefined;
  }
}
