# docker build -t warren .        buildah build -t warren .
# docker run -v "$PWD":/etc/warren:ro warren

FROM debian:12-slim AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      gcc libc6-dev cmake ninja-build pkg-config \
      librabbitmq-dev libevent-dev libyaml-dev libpopt-dev libjansson-dev libssl-dev libsqlite3-dev \
      libxxhash-dev libcurl4-openssl-dev libncurses-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY CMakeLists.txt LICENSE README.md CHANGELOG.md ./
COPY cmake cmake
COPY docs docs
COPY include include
COPY framework framework
COPY handlers handlers
COPY examples examples
RUN cmake -S . -B /build -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
      -DCMAKE_INSTALL_PREFIX=/usr -DWARREN_TESTS=OFF \
 && cmake --build /build \
 && DESTDIR=/stage cmake --install /build --strip \
 && rm -rf /stage/usr/include /stage/usr/share \
      /stage/usr/lib/*/*.a /stage/usr/lib/*/cmake /stage/usr/lib/*/pkgconfig

FROM debian:12-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      librabbitmq4 libevent-core-2.1-7 libevent-openssl-2.1-7 libyaml-0-2 libpopt0 libxxhash0 \
      libjansson4 libssl3 libsqlite3-0 libcurl4 libncursesw6 ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin warren \
 && install -d -o 10001 -m 700 /var/lib/warren
COPY --from=build /stage/ /
# Which messages ended a worker by SIGKILL; see state_dir in docs/configuration.md.
ENV WARREN_STATE_DIR=/var/lib/warren
VOLUME /var/lib/warren
USER 10001
WORKDIR /etc/warren
STOPSIGNAL SIGTERM
ENTRYPOINT ["warren"]
CMD ["run", "-c", "/etc/warren/worker.yaml"]
