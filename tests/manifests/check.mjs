// check.mjs - what is deployed by examples/kubernetes and examples/compose: each object against its
// schema, and all of them against each other and against warren's own defaults.
//
// usage: node check.mjs ROOT      from where the packages of package.json are

import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';

const root = process.argv[2];
const require = createRequire(join(process.cwd(), 'package.json'));
const load = async (name) => import(pathToFileURL(require.resolve(name)));
const yaml = await load('js-yaml');
const faults = [];

function expect(condition, what) {
    if (!condition) faults.push(what);
}

// ---- schemas ----

// A schema lets unknown properties pass, so one that is misspelt would be found by the cluster alone.
// Its code reads those that it knows: what it has not read is unknown.
function watch(value, watched) {
    if (value === null || typeof value !== 'object') return value;
    if (!watched.has(value)) {
        const read = new Set();
        const proxy = new Proxy(value, {
            get(target, key) {
                read.add(key);
                return watch(target[key], watched);
            },
        });
        watched.set(value, { read, proxy });
    }
    return watched.get(value).proxy;
}

function* unread(value, watched, path = '') {
    if (value === null || typeof value !== 'object' || !watched.has(value)) return;
    for (const key of Object.keys(value)) {
        if (!watched.get(value).read.has(key)) yield `${path}/${key}`;
        yield* unread(value[key], watched, `${path}/${key}`);
    }
}

async function validate(file, object) {
    const [group] = object.apiVersion.split('/');
    const where = `${file}: ${object.kind} ${object.metadata?.name}`;
    const library = group === 'keda.sh' ? '@kubernetes-models/keda' : 'kubernetes-models';
    let model;
    try {
        model = (await import(pathToFileURL(join(process.cwd(), 'node_modules', library,
            object.apiVersion, `${object.kind}.js`))))[object.kind];
    } catch (error) {
        faults.push(`${where}: there is no schema: ${error.message}`);
        return;
    }
    const watched = new Map();
    const instance = new model(object);
    const parts = Object.entries(instance);
    for (const [key, value] of parts) instance[key] = watch(value, watched);
    try {
        instance.validate();
    } catch (error) {
        faults.push(`${where}: ${error.message}`);
        return;
    }
    for (const [key, value] of parts)
        for (const path of unread(value, watched, `/${key}`))
            faults.push(`${where}: ${path} is not known`);
}

// ---- numbers ----

// "30s", "2m", 45 in seconds.
function seconds(text) {
    const found = /^(\d+)(ms|s|m|h)?$/.exec(String(text));
    return found ? found[1] * { ms: 0.001, s: 1, m: 60, h: 3600 }[found[2] ?? 's'] : NaN;
}

// "512Mi", "64MiB", "512m" in bytes.
function bytes(text) {
    const found = /^(\d+)(K|M|G)i?B?$/i.exec(String(text));
    return found ? found[1] * 1024 ** ' KMG'.indexOf(found[2].toUpperCase()) : NaN;
}

// The default of an option, as its row has it.
function fallback(name) {
    const rows = readFileSync(join(root, 'framework/config/options.def'), 'utf8');
    const found = new RegExp(`"${name.replace('.', '\\.')}",[^"]*"([^"]*)"`).exec(rows);
    expect(found, `there is no option ${name}`);
    return found?.[1];
}

const drain_s = seconds(fallback('drain.timeout'));
const memory = bytes(fallback('consumer.memory_max')) + bytes(fallback('publisher.window_bytes'));
const end_s = 10; // what plugins' close may take: app/worker_service.h

// ---- Kubernetes ----

function check_container(pod, worker, config) {
    const probe = (name) => worker[name]?.httpGet;
    const env = Object.fromEntries(worker.env.map((e) => [e.name, e]));
    const port = worker.ports.find((p) => p.name === 'admin')?.containerPort;

    expect(env.WARREN_ADMIN_LISTEN?.value === `0.0.0.0:${port}`, 'the probes reach no listener');
    expect(probe('livenessProbe')?.path === '/healthz', 'the liveness probe asks /healthz');
    expect(probe('startupProbe')?.path === '/healthz', 'the startup probe asks /healthz');
    expect(probe('readinessProbe')?.path === '/readyz', 'the readiness probe asks /readyz');
    for (const name of ['livenessProbe', 'startupProbe', 'readinessProbe'])
        expect(probe(name)?.port === 'admin', `${name}: its port is not that of the listener`);
    expect(pod.terminationGracePeriodSeconds > seconds(config.drain?.timeout ?? `${drain_s}s`) + end_s,
        'terminationGracePeriodSeconds is not above drain.timeout and 10 s');
    expect(bytes(worker.resources.limits.memory) > memory,
        'the memory limit is not above consumer.memory_max and publisher.window_bytes');
    expect(worker.securityContext.readOnlyRootFilesystem === true, 'the root can be written');
    expect(pod.securityContext.runAsNonRoot === true, 'it may run as root');
    expect(pod.enableServiceLinks === false, 'a Service called warren would set WARREN_ variables');
    expect(worker.volumeMounts.some((m) => m.mountPath === '/var/lib/warren' && !m.readOnly),
        'there is no writable state folder');
    for (const mount of worker.volumeMounts)
        expect(pod.volumes.some((v) => v.name === mount.name), `there is no volume ${mount.name}`);
}

async function check_kubernetes() {
    const folder = join(root, 'examples/kubernetes');
    const objects = [];
    const kustomization = yaml.load(readFileSync(join(folder, 'kustomization.yaml'), 'utf8'));
    const files = readdirSync(folder).filter((f) => f.endsWith('.yaml') && f !== 'kustomization.yaml');

    expect(files.sort().join() === [...kustomization.resources].sort().join(),
        'kustomization.yaml does not name exactly the files that there are');
    for (const file of files)
        for (const object of yaml.loadAll(readFileSync(join(folder, file), 'utf8'))) {
            await validate(file, object);
            objects.push(object);
        }

    const find = (kind, name) => objects.find((o) => o.kind === kind && (!name || o.metadata.name === name));
    const deployment = find('Deployment');
    const pod = deployment.spec.template.spec;
    const worker = pod.containers[0];
    const labels = JSON.stringify(deployment.spec.template.metadata.labels);
    const configs = pod.volumes.find((v) => v.configMap)?.configMap.name;
    const text = find('ConfigMap', configs)?.data?.['worker.yaml'];
    expect(text, `there is no ConfigMap ${configs} with worker.yaml`);
    const config = yaml.load(text ?? '{}');
    check_container(pod, worker, config);

    const path = pod.volumes.find((v) => v.configMap) &&
        worker.volumeMounts.find((m) => m.name === 'config')?.mountPath;
    expect(worker.args.includes(`${path}/worker.yaml`), 'the worker reads another file than is mounted');
    expect(JSON.stringify(deployment.spec.selector.matchLabels) === labels, 'the selector finds no pod');
    expect(JSON.stringify(find('PodDisruptionBudget').spec.selector.matchLabels) === labels,
        'the budget is for other pods');

    const secret = worker.env.find((e) => e.name === 'WARREN_BROKER_URI').valueFrom.secretKeyRef;
    expect(find('Secret', secret.name)?.stringData[secret.key], `there is no Secret ${secret.name}`);

    const scaled = find('ScaledObject').spec;
    const subscription = config.subscriptions?.[0];
    expect(scaled.scaleTargetRef.name === deployment.metadata.name, 'KEDA scales another deployment');
    expect(deployment.spec.replicas === undefined, 'replicas is set, and KEDA sets it, too');
    for (const trigger of scaled.triggers) {
        expect(trigger.metadata.queueName === subscription?.queue, 'KEDA looks at another queue');
        expect(Number(trigger.metadata.value) > (subscription?.prefetch ?? 100),
            'a worker of KEDA is for no more messages than its prefetch');
        const reference = find('TriggerAuthentication', trigger.authenticationRef.name)?.spec.secretTargetRef[0];
        expect(find('Secret', reference?.name)?.stringData[reference?.key], 'KEDA has no way to the broker');
    }
    return objects.length;
}

// ---- Compose ----

function check_compose() {
    const compose = yaml.load(readFileSync(join(root, 'examples/compose/compose.yaml'), 'utf8'));
    const worker = compose.services.orders;

    expect(seconds(worker.stop_grace_period) > drain_s + end_s,
        'compose: stop_grace_period is not above drain.timeout and 10 s');
    expect(worker.read_only === true, 'compose: the root can be written');
    expect(bytes(worker.mem_limit) > memory, 'compose: mem_limit is below what the worker may keep');
    for (const name of Object.keys(worker.depends_on))
        expect(compose.services[name]?.healthcheck, `compose: ${name} has no healthcheck to wait for`);
    expect(new URL(worker.environment.WARREN_BROKER_URI).hostname in compose.services,
        'compose: the broker is no service');
}

const count = await check_kubernetes();
check_compose();
for (const fault of faults) console.error(fault);
if (faults.length === 0) console.log(`${count} objects, and compose.yaml: as they should be`);
process.exit(faults.length === 0 ? 0 : 1);
