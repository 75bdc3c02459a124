import { connect } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Example, Service } from './example.ts';
import { ExampleError, type Options } from './options.ts';
import { claimPorts } from './ports.ts';
import type { Processes } from './processes.ts';
import { installCommand, isInstalled, runtimes } from './runtimes.ts';
import type { Screen } from './screen.ts';

/** A service and its port here and now; the trigger files name the default port. */
export interface PlacedService {
  readonly service: Service;
  readonly port: number;
  readonly defaultPort: number;
  /** False where its runtime is missing. */
  readonly present: boolean;
}

export interface Placed {
  readonly port: number;
  readonly adminPort: number;
  readonly services: readonly PlacedService[];
}

/** Starting takes a second at most, but what `go run` compiles the first time may take minutes; that is waited for. */
const listenTimeoutMs = 60_000;

/** Finds the ports of Posthorn and of the services, and names the runtimes that are missing. */
export async function place(example: Example, { port, adminPort, servicePort }: Options): Promise<Placed> {
  const [ingress = 0, admin = 0, ...ports] = await claimPorts([
    { owner: 'Posthorn (events)', port, choice: '--port N or POSTHORN_PORT=N' },
    { owner: 'Posthorn (admin)', port: adminPort, choice: '--admin-port N or POSTHORN_ADMIN_PORT=N' },
    ...example.services.map(({ file }, index) => ({
      owner: file,
      port: servicePort === 0 ? 0 : servicePort + index,
      choice: '--service-port N or SERVICE_PORT=N, for all of these together',
    })),
  ]);
  const services = example.services.map((service, index) => {
    const present = isInstalled(service.runtime);
    if (!present) {
      const { name } = runtimes[service.runtime];
      console.log(`${name} is missing: ${service.file} is left out. Install it by: ${installCommand(service.runtime)}`);
    }
    return { service, present, port: ports[index] ?? 0, defaultPort: example.defaults.servicePort + index };
  });
  return { port: ingress, adminPort: admin, services };
}

/** A service that is being compiled, and when it listens. */
export interface Late {
  readonly placed: PlacedService;
  readonly listening: Promise<void>;
}

/**
 * Starts those that are present and resolves when they listen; those that are still being compiled when the patience
 * is over are given back. Aborts `end` if one ends before it listens.
 */
export async function startServices(
  folder: string,
  services: readonly PlacedService[],
  patienceSeconds: number,
  processes: Processes,
  screen: Screen,
  end: AbortController,
): Promise<Late[]> {
  const urlOf = (label: string): string =>
    `http://127.0.0.1:${services.find(({ service }) => service.label === label)?.port}`;

  const start = async ({ service, port }: PlacedService): Promise<void> => {
    const { label, runtime, file } = service;
    const { command, run } = runtimes[runtime];
    let listening = false;
    processes.start({
      command,
      args: run(path.join(folder, file), port),
      // An interrupted `go run` leaves in GOTMPDIR what it built.
      env: { ...process.env, ...service.env?.(urlOf), PORT: String(port), GOTMPDIR: processes.temporary },
      stopSignal: 'SIGINT',
      onLine: (line) => screen.print(label, line),
      onEnd(how) {
        screen.print(label, `ended: ${how}`);
        if (!listening) end.abort(new ExampleError(`${file} did not start.`));
      },
    });
    await waitUntilListening(service, port, end.signal);
    listening = true;
  };

  const starting = services
    .filter(({ present }) => present)
    .map((placed) => ({ placed, isLate: false, listening: start(placed) }));
  await Promise.all(
    starting.map(async (one) => {
      if (one.placed.service.runtime !== 'go') return one.listening;
      const patience = delay(patienceSeconds * 1_000, true, { signal: end.signal });
      one.isLate = (await Promise.race([one.listening, patience])) === true;
    }),
  );
  return starting.filter(({ isLate }) => isLate);
}

async function waitUntilListening({ file, runtime }: Service, port: number, signal: AbortSignal): Promise<void> {
  const startedMs = performance.now();
  while (!(await isListening(port))) {
    if (runtime !== 'go' && performance.now() - startedMs > listenTimeoutMs) {
      throw new ExampleError(`${file} does not listen on port ${port}.`);
    }
    await delay(50, undefined, { signal });
  }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
