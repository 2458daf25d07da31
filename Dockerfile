# The images of warren, in three stages:
#
#   docker build --target sdk -t warren:sdk .    compilers, headers, the library, `warren`: to build handlers in
#   docker build -t warren .                     what runs them: examples/container is an image of your own
#
# buildah and podman do the same with --format docker, without which there is no HEALTHCHECK.
# scripts/container builds, runs and measures them.

ARG LIBRARIES="librabbitmq4 libevent-core-2.1-7 libevent-openssl-2.1-7 libevent-pthreads-2.1-7 libyaml-0-2 libpopt0 libxxhash0 libjansson4 libssl3 libsqlite3-0 libcurl4 libncursesw6"

FROM debian:12-slim AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      gcc libc6-dev cmake ninja-build pkg-config ca-certificates \
      librabbitmq-dev libevent-dev libyaml-dev libpopt-dev libjansson-dev libssl-dev libsqlite3-dev \
      libxxhash-dev libcurl4-openssl-dev libncurses-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY CMakeLists.txt ./
COPY cmake cmake
COPY include include
COPY framework framework
COPY handlers handlers
COPY packaging packaging
COPY examples examples
RUN cmake -S . -B /build -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
      -DCMAKE_INSTALL_PREFIX=/usr -DWARREN_TESTS=OFF \
 && cmake --build /build
# Behind the compiler: a word in a page does not have all compiled again.
COPY LICENSE README.md CHANGELOG.md ./
COPY docs docs
RUN cmake /build && cmake --build /build && DESTDIR=/stage cmake --install /build --strip
# What runs: the command, which has the library inside, its handlers, and the authorities that it
# trusts. The packages that make their list would bring a command line of OpenSSL along.
RUN mkdir -p /image/usr/bin /image/etc/ssl/certs /image/usr/lib/ssl \
 && cp /stage/usr/bin/warren /image/usr/bin/ \
 && (cd /stage && cp -r --parents usr/lib/*/warren /image) \
 && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
 && ln -s /etc/ssl/certs/ca-certificates.crt /image/usr/lib/ssl/cert.pem

FROM debian:12-slim AS sdk
ARG LIBRARIES
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      gcc g++ libc6-dev make cmake pkg-config libcmocka-dev ca-certificates $LIBRARIES \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /stage/ /
WORKDIR /src

FROM debian:12-slim
ARG LIBRARIES
RUN apt-get update \
 && apt-get install -y --no-install-recommends $LIBRARIES \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/cache/ldconfig/* \
      /var/lib/dpkg/*-old /var/lib/dpkg/info/*.symbols /var/log/* /usr/share/doc/* /usr/share/man/* /usr/share/locale/* \
 && echo 'warren:x:10001:10001:warren:/var/lib/warren:/usr/sbin/nologin' >>/etc/passwd \
 && echo 'warren:x:10001:' >>/etc/group \
 && install -d -o 10001 -g 10001 -m 700 /var/lib/warren
COPY --from=build /image/ /
# The one writable folder: which messages ended a worker by SIGKILL, and where its files go.
ENV WARREN_STATE_DIR=/var/lib/warren
# For HEALTHCHECK, and nobody beyond the container. What is in the environment goes before what is in
# the file: 0.0.0.0:9464 lets others in, an empty value leaves it to the file.
ENV WARREN_ADMIN_LISTEN=127.0.0.1:9464
VOLUME /var/lib/warren
USER 10001:10001
WORKDIR /etc/warren
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 \
  CMD ["warren", "health", "-c", "/etc/warren/worker.yaml"]
ENTRYPOINT ["warren"]
CMD ["run", "-c", "/etc/warren/worker.yaml"]
