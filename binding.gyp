# Bridge only, for prebuildify: node-gyp hands over to scripts/build.mjs, which runs
# CMake. Not published (an implicit `node-gyp rebuild` would run at install).
{
  "targets": [
    {
      "target_name": "googlenet_cmake",
      "type": "none",
      "actions": [
        {
          "action_name": "build",
          "inputs": [],
          "outputs": ["build/Release/googlenet.node"],
          "action": ["node", "scripts/build.mjs", "--native-only"]
        }
      ]
    }
  ]
}
