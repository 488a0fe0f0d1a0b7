#!/usr/bin/env bash
# Generates messages and gRPC stubs of the protocol for one language into a folder.
#
#   scripts/generate-client.sh LANGUAGE FOLDER
#
# LANGUAGE has a template in clients/gen/. What a package registry serves is installed in a pinned version: programs of Go
# into .tools/bin, the others into .tools/generators. For what none serves, the script says what to install.
# docs/clients-in-other-languages.md tells what to do with the files.
set -euo pipefail

# renovate: pypi=grpcio-tools
GRPCIO_TOOLS_VERSION=1.85.1
# renovate: maven=com.google.protobuf:protoc
PROTOC_VERSION=4.36.2
# renovate: maven=io.grpc:protoc-gen-grpc-java
GRPC_JAVA_VERSION=1.82.2
# renovate: maven=io.grpc:protoc-gen-grpc-kotlin
GRPC_KOTLIN_VERSION=1.5.0
# renovate: maven=org.apache.maven.plugins:maven-dependency-plugin
MAVEN_DEPENDENCY_VERSION=3.8.1

fail() {
    echo "generate-client: $*" >&2
    exit 1
}

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
languages=$(cd "$repository/clients/gen" && printf '%s ' *.gen.yaml | sed 's/\.gen\.yaml//g; s/ $//; s/ /, /g')
[ $# -eq 2 ] || fail "usage: scripts/generate-client.sh LANGUAGE FOLDER, where LANGUAGE is one of $languages"
language=$1
template=clients/gen/$language.gen.yaml
[ -f "$repository/$template" ] || fail "there is no language $language: $languages"
mkdir -p "$2"
out=$(cd "$2" && pwd)
cd "$repository"
generators=$PWD/.tools/generators

# needs PROGRAM HOW: fails with how to install a program that is not there.
needs() {
    command -v "$1" >/dev/null || fail "$1 is missing. $2"
}

# The system and processor as Maven Central names them in programs.
maven_platform() {
    case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) echo linux-x86_64 ;;
    Linux-aarch64 | Linux-arm64) echo linux-aarch_64 ;;
    Darwin-x86_64) echo osx-x86_64 ;;
    Darwin-arm64) echo osx-aarch_64 ;;
    *) fail "Maven Central has no generators for $(uname -s) on $(uname -m)" ;;
    esac
}

# from_maven GROUP:NAME:VERSION:TYPE:CLASSIFIER FILE: copies it to FILE, executable.
from_maven() {
    needs mvn "The script gets $1 from Maven Central with it. Install Maven (Debian: apt-get install maven, macOS: brew install maven)."
    echo "generate-client: installing $1"
    rm -rf "$generators/download"
    mvn --batch-mode --quiet -Dstyle.color=never "org.apache.maven.plugins:maven-dependency-plugin:$MAVEN_DEPENDENCY_VERSION:copy" \
        -Dartifact="$1" -DoutputDirectory="$generators/download" </dev/null ||
        fail "Maven could not get $1"
    chmod +x "$generators"/download/*
    mv "$generators"/download/* "$2"
    rmdir "$generators/download"
}

# from_maven_once PROGRAM GROUP:NAME VERSION: a program for this platform, onto the PATH.
from_maven_once() {
    local file=$generators/$1-$3 platform
    platform=$(maven_platform)
    [ -x "$file" ] || from_maven "$2:$3:exe:$platform" "$file"
    ln -sf "../$1-$3" "$generators/bin/$1"
}

# The protoc of Google, with all that is built into it. Where there is no Maven, a protoc on the PATH does.
install_protoc() {
    if [ ! -x "$generators/protoc-$PROTOC_VERSION" ] && ! command -v mvn >/dev/null && command -v protoc >/dev/null; then
        echo "generate-client: using $(protoc --version) of the PATH, since there is no Maven to get $PROTOC_VERSION with"
        return
    fi
    from_maven_once protoc com.google.protobuf:protoc "$PROTOC_VERSION"
}

install_grpc_java() {
    from_maven_once protoc-gen-grpc-java io.grpc:protoc-gen-grpc-java "$GRPC_JAVA_VERSION"
}

install_grpc_kotlin() {
    local jar=$generators/protoc-gen-grpc-kotlin-$GRPC_KOTLIN_VERSION.jar
    needs java "The generator of Kotlin stubs runs on it: install Java 17 or newer (Debian: apt-get install default-jre-headless)."
    [ -f "$jar" ] || from_maven "io.grpc:protoc-gen-grpc-kotlin:$GRPC_KOTLIN_VERSION:jar:jdk8" "$jar"
    printf '#!/bin/sh\nexec java -jar "%s"\n' "$jar" >"$generators/bin/protoc-gen-grpc-kotlin"
    chmod +x "$generators/bin/protoc-gen-grpc-kotlin"
}

# A Python of its own, so that nothing that the user has installed is changed.
install_python() {
    local environment=$generators/python-$GRPCIO_TOOLS_VERSION
    needs python3 "Install Python 3.10 or newer (https://www.python.org, Debian: apt-get install python3 python3-venv)."
    if [ ! -f "$environment/complete" ]; then
        echo "generate-client: installing grpcio-tools $GRPCIO_TOOLS_VERSION"
        rm -rf "$environment"
        python3 -m venv "$environment" ||
            fail "Python could not make an environment. Install what is missing (Debian: apt-get install python3-venv)."
        "$environment/bin/python" -m pip install --quiet --disable-pip-version-check "grpcio-tools==$GRPCIO_TOOLS_VERSION" ||
            fail "pip could not install grpcio-tools $GRPCIO_TOOLS_VERSION"
        touch "$environment/complete"
    fi
    PATH=$environment/bin:$PATH
}

mkdir -p "$generators/bin"
scripts/tools.sh buf
PATH=$PWD/.tools/bin:$PATH
# The headers of C++ and what is generated must be of one version, so C++ has nothing from .tools.
[ "$language" = cpp ] || PATH=$generators/bin:$PATH
export PATH

GRPC_PLUGINS="Install the plugins of gRPC (Debian: apt-get install protobuf-compiler-grpc, macOS: brew install grpc)."
case "$language" in
go) scripts/tools.sh protoc-gen-go protoc-gen-go-grpc ;;
python) install_python ;;
java)
    install_protoc
    install_grpc_java
    ;;
kotlin)
    install_protoc
    install_grpc_java
    install_grpc_kotlin
    ;;
php | ruby)
    install_protoc
    needs "grpc_${language}_plugin" "$GRPC_PLUGINS"
    ;;
csharp)
    install_protoc
    needs grpc_csharp_plugin "It is in the NuGet package Grpc.Tools, in tools/ for your system: put that folder on the PATH (macOS: brew install grpc; Debian 12 has no package of it). A project with Grpc.Tools generates from proto/ by itself and needs no script."
    ;;
cpp)
    needs protoc "C++ needs the protoc that belongs to the installed headers (Debian: apt-get install protobuf-compiler libprotobuf-dev, macOS: brew install protobuf)."
    needs grpc_cpp_plugin "C++ needs the plugin that belongs to the installed headers (Debian: apt-get install protobuf-compiler-grpc libgrpc++-dev, macOS: brew install grpc)."
    ;;
swift)
    needs protoc-gen-swift "Install swift-protobuf (macOS: brew install swift-protobuf, elsewhere build it: https://github.com/apple/swift-protobuf)."
    needs protoc-gen-grpc-swift-2 "Install grpc-swift-protobuf 2 (macOS: brew install protoc-gen-grpc-swift, elsewhere build it: https://github.com/grpc/grpc-swift-protobuf)."
    ;;
dart)
    needs protoc-gen-dart "Install Dart (https://dart.dev/get-dart), run: dart pub global activate protoc_plugin, and put ~/.pub-cache/bin on the PATH."
    ;;
esac

buf generate --template "$template" --output "$out"
echo "generate-client: $language is in $out"
