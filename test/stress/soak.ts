// A running server among faults, revocations and grants, for as long as is wanted; an oracle judges every answer.
import { mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { generateKeyPair } from 'jose';
import { createSecret } from '../../src/access/tokens/credentials.js';
import { randomFrom, type Random } from '../access/random.js';
import { accessBy, tokenFor } from '../chain/issuer-of-our-own.js';
import type { Keyhole } from '../chain/keyhole-process.js';
import { BILLING, configure, layGround, ORDERS, sealedBy, type Ground } from '../chain/system.js';
import { startTokenIssuer, type TokenIssuer } from '../chain/token-issuer.js';
import { run } from '../cli/command.js';
import { FaultProxy } from '../faults/fault-proxy.js';
import { startMoto, type Moto } from '../parts/moto.js';
import { bodyOf } from '../server/running-server.js';
import { plantSecret } from '../streams.js';
import { ofNetwork, ofProcess, ofRefusals, shuffled, SmallDisk, type Disturbance } from './disturbances.js';
import { Oracle, type Caller, type Counts, type Sealed } from './oracle.js';
import { Rights } from './rights.js';
import { pick, Staff } from './staff.js';

export interface SoakOptions {
  readonly seed: number;
  /** How long one disturbance lasts at most, in milliseconds. */
  readonly longestMs: number;
  /** Asked before each disturbance. */
  goesOn(progress: Progress): boolean;
}

export interface Progress extends Readonly<Counts> {
  /** Rights that were given or taken. */
  readonly changes: number;
  readonly disturbances: number;
  readonly violations: number;
}

export interface SoakResult extends Omit<Progress, 'violations'> {
  readonly violations: readonly string[];
}

const NAMESPACES = [ORDERS, BILLING];
/** Each under a data key of its own. */
const PAYLOADS = 24;
const LANES = 8;
const LONGEST_PAUSE_MS = 80;
const CHANGE_EVERY_MS = 200;
const FRESH_SECONDS = 1;
const STALE_SECONDS = 2;
const RECOVERED_WITHIN_MS = 5_000;
const ALWAYS = 'alice';
const PROGRAM = 'ci';
const STRANGER = 'mallory';
const STAFF = { always: [ALWAYS], never: ['eve'], sometimes: ['bob', 'carol', 'dave'] };

export async function soak(options: SoakOptions): Promise<SoakResult> {
  const running = await Soak.start(options);
  try {
    await running.run();
    return await running.result();
  } finally {
    await running.stop();
  }
}

const emailOf = (name: string): string => `${name}@example.com`;

class Soak {
  readonly #options: SoakOptions;
  readonly #random: Random;
  readonly #rights = new Rights();
  readonly #oracle = new Oracle(this.#rights, STALE_SECONDS * 1_000);
  readonly #stops: (() => unknown)[] = [];
  readonly #tokens = new Map<string, string>();
  readonly #credential = createSecret();
  readonly #sealed: Sealed[] = [];
  #ground!: Ground;
  #moto!: Moto;
  #issuer!: TokenIssuer;
  #staff!: Staff;
  #keyhole!: Keyhole;
  #record!: string;
  #ofNetworks: Disturbance[] = [];
  #disk: SmallDisk | undefined;
  #jwksPort = 0;
  #disturbances = 0;
  #over = false;

  private constructor(options: SoakOptions) {
    this.#options = options;
    this.#random = randomFrom(options.seed);
    plantSecret(this.#credential.secret);
  }

  static async start(options: SoakOptions): Promise<Soak> {
    const soak = new Soak(options);
    try {
      await soak.#start();
      return soak;
    } catch (error) {
      await soak.stop();
      throw error;
    }
  }

  async run(): Promise<void> {
    await this.#expectAllIsWell();
    const lanes = Array.from({ length: LANES }, (_, index) =>
      this.#lane(randomFrom(this.#options.seed + index)),
    );
    const changing = setInterval(() => {
      this.#staff.change();
    }, CHANGE_EVERY_MS);
    try {
      await this.#disturb();
    } finally {
      clearInterval(changing);
      this.#over = true;
      await Promise.all(lanes);
    }
    await this.#expectAllIsWell();
  }

  /** Ends the server, and compares what was seen with its record, which must prove itself. */
  async result(): Promise<SoakResult> {
    await this.#keyhole.stop();

    const names = (await readdir(this.#record)).filter((name) => name.endsWith('.ndjson'));
    const files = names.map((name) => join(this.#record, name));
    const checkpoints = [...this.#keyhole.log().matchAll(/"checkpoint":"([^"]+)"/g)].map(
      ([, text = '']) => text,
    );
    const args = ['audit', 'verify', ...files, ...checkpoints.flatMap((one) => ['--checkpoint', one])];
    const { code, stdout, stderr } = await run(args, { cwd: this.#record });
    await this.#oracle.compareWith(files);
    const { violations } = this.#oracle;
    if (code !== 0) violations.push(`audit verify: exit ${code ?? 'by a signal'}: ${stdout}${stderr}`);
    return { ...this.#progress(), violations };
  }

  async stop(): Promise<void> {
    for (const stop of this.#stops.reverse()) await stop();
  }

  async #start(): Promise<void> {
    this.#ground = await layGround([], async () => (this.#moto = await startMoto()));
    this.#stops.push(() => this.#ground.stop());
    this.#issuer = await startTokenIssuer(this.#ground.certificates);
    this.#stops.push(() => this.#issuer.stop());
    const { behaviour, address } = this.#ground.cloud;
    behaviour.key = { account: 'developer', namespaces: NAMESPACES }; // is told who is assigned, inherited access too
    const staff = { behaviour, rights: this.#rights, namespaces: NAMESPACES, random: this.#random };
    this.#staff = new Staff({
      ...staff,
      always: STAFF.always.map(emailOf),
      never: STAFF.never.map(emailOf),
      sometimes: STAFF.sometimes.map(emailOf),
    });
    this.#rights.grant(PROGRAM, ORDERS);
    await this.#seal();
    await this.#makeRoomForTheRecord();
    const kmsPort = await this.#proxyTo('the key service', Number(new URL(this.#ground.kms.url).port));
    const cloudPort = await this.#proxyTo('the Operations API', Number(address.split(':')[1]));
    this.#jwksPort = await this.#proxyTo('the issuer', this.#issuer.port);
    this.#keyhole = await this.#ground.serve({
      configuration: this.#configuration(true),
      env: {
        AWS_ENDPOINT_URL_KMS: `http://127.0.0.1:${kmsPort}`,
        TEMPORAL_OPS_ADDRESS: `localhost:${cloudPort}`,
      },
    });
  }

  async #seal(): Promise<void> {
    for (let index = 0; index < PAYLOADS; index += 1) {
      const namespace = index % 2 === 0 ? ORDERS : BILLING;
      const text = plantSecret(`plaintext ${index} of a soak in ${namespace}`);
      const [payload = {}] = await sealedBy(this.#ground.codec(), namespace, text);
      this.#sealed.push({ namespace, text, payload });
    }
  }

  async #makeRoomForTheRecord(): Promise<void> {
    this.#record = join(this.#ground.directory, 'record');
    await mkdir(this.#record);
    if (!SmallDisk.possible) return;
    const disk = new SmallDisk(this.#record);
    disk.mount();
    this.#stops.push(() => {
      disk.unmount();
    });
    this.#disk = disk;
  }

  async #proxyTo(what: string, port: number): Promise<number> {
    const proxy = await FaultProxy.start(port);
    this.#stops.push(() => proxy.stop());
    this.#ofNetworks.push(...ofNetwork(what, proxy));
    return proxy.port;
  }

  #configuration(withProgram: boolean): object {
    const { issuers, ...access } = accessBy(this.#issuer.port, this.#ground) as { issuers: object[] };
    const roles = { ca: this.#ground.caFile, freshSeconds: FRESH_SECONDS, staleSeconds: STALE_SECONDS };
    const granted = [`namespace:admin@${ORDERS}`];
    const { sha256 } = this.#credential;
    const program = { name: PROGRAM, sha256, roles: granted, expires: '2999-12-31' };
    return {
      audit: { file: join(this.#record, 'audit.ndjson') },
      access: {
        ...access,
        issuers: [{ ...issuers[0], jwks: `https://localhost:${this.#jwksPort}/jwks` }],
        roles,
        credentials: withProgram ? [program] : [],
      },
    };
  }

  #everyDisturbance(): Disturbance[] {
    return [
      ...this.#ofNetworks,
      ...ofRefusals(this.#ground.cloud.behaviour),
      ofProcess('the key service', this.#moto.pid),
      ...(this.#disk === undefined ? [] : [this.#disk.disturbance()]),
      { name: 'everything is read again', begin: () => this.#keyhole.reload(), end: () => undefined },
      {
        name: 'the record is rotated',
        begin: () => rename(join(this.#record, 'audit.ndjson'), join(this.#record, `${Date.now()}.ndjson`)),
        end: () => this.#keyhole.reload(),
      },
      {
        name: 'a program’s credential is taken away',
        begin: async () => {
          await configure(this.#keyhole.directory, this.#configuration(false));
          await this.#keyhole.reload();
          this.#rights.revoke(PROGRAM, ORDERS);
        },
        end: async () => {
          this.#rights.grant(PROGRAM, ORDERS);
          await configure(this.#keyhole.directory, this.#configuration(true));
          await this.#keyhole.reload();
        },
      },
    ];
  }

  /** In rounds: each of them once, in an order of chance. */
  async #disturb(): Promise<void> {
    const left: Disturbance[] = [];
    while (this.#options.goesOn({ ...this.#progress(), violations: this.#oracle.violations.length })) {
      if (left.length === 0) left.push(...shuffled(this.#random, this.#everyDisturbance()));
      const disturbance = left.pop();
      await disturbance?.begin();
      try {
        await pause(this.#random(this.#options.longestMs));
      } finally {
        await disturbance?.end();
      }
      this.#disturbances += 1;
      await pause(this.#random(this.#options.longestMs / 2));
    }
  }

  async #lane(random: Random): Promise<void> {
    const names = [...Object.values(STAFF).flat(), PROGRAM, STRANGER];
    while (!this.#over) {
      const sealed = Array.from({ length: 1 + random(3) }, () => pick(random, this.#sealed));
      await this.#ask(pick(random, names), pick(random, NAMESPACES), sealed, random);
      await pause(random(LONGEST_PAUSE_MS));
    }
  }

  async #ask(
    name: string,
    namespace: string,
    sealed: readonly Sealed[],
    random: Random,
  ): Promise<number | undefined> {
    const token = await this.#tokenOf(name, random);
    const asked = { caller: callerOf(name), namespace, sealed, atMs: performance.now() };
    const body = bodyOf(...sealed.map(({ payload }) => payload));
    try {
      const answer = await this.#keyhole.ask('/decode', { token, namespace, body });
      this.#oracle.judge(asked, answer);
      return answer.status;
    } catch (error) {
      this.#oracle.unanswered(asked, error);
      return undefined;
    }
  }

  /** The same one for a while, as people have. */
  async #tokenOf(name: string, random: Random): Promise<string> {
    if (name === PROGRAM) return this.#credential.secret;
    if (name === STRANGER) return this.#forged(random);
    const kept = this.#tokens.get(name);
    if (kept !== undefined && random(50) > 0) return kept;
    const token = await tokenFor(this.#issuer, name);
    this.#tokens.set(name, token);
    return token;
  }

  /** In the name of somebody who has every right: by a key of nobody, known by name or not. */
  async #forged(random: Random): Promise<string> {
    const kept = this.#tokens.get(STRANGER);
    if (kept !== undefined && random(50) > 0) return kept;
    const { privateKey } = await generateKeyPair('RS256');
    const iss = `https://localhost:${this.#issuer.port}`;
    const claims = { iss, aud: 'keyhole', sub: ALWAYS, email: emailOf(ALWAYS) };
    const header = random(2) === 0 ? {} : { kid: 'a key of nobody' };
    const token = await this.#issuer.token(claims, { header, key: privateKey });
    this.#tokens.set(STRANGER, token);
    return token;
  }

  /** Strength: from the last repair on within 5 s; before the first fault, so that a key set was loaded once. */
  async #expectAllIsWell(): Promise<void> {
    const fromMs = performance.now();
    for (const namespace of NAMESPACES) {
      const own = this.#sealed.filter((one) => one.namespace === namespace);
      let status: number | undefined;
      do status = await this.#ask(ALWAYS, namespace, own, this.#random);
      while (status !== 200 && performance.now() - fromMs < RECOVERED_WITHIN_MS);
      if (status !== 200)
        this.#oracle.violations.push(`${namespace}: ${status ?? 'nothing'} after 5 s without a fault`);
    }
  }

  #progress(): Omit<Progress, 'violations'> {
    return { ...this.#oracle.counts, changes: this.#staff.changes, disturbances: this.#disturbances };
  }
}

function callerOf(name: string): Caller {
  if (name === STRANGER) return { name, refusedWith: [401], byConfiguration: false };
  if (name === PROGRAM) return { name, refusedWith: [401, 403], byConfiguration: true };
  return { name: emailOf(name), refusedWith: [403], byConfiguration: false };
}
